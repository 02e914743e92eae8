// Polls our own addresses to detect another network, another address, or a computer that has slept. Node has no
// event for these.

import type { Clock } from '../base/clock.ts'
import { addressScope } from '../base/endpoint.ts'

type NetworkMonitorOptions = {
  readonly clock: Clock
  /** Interval between two polls. */
  readonly pollMs: number
  /** Our present addresses. */
  readonly addresses: () => readonly string[]
  /** Our addresses have changed. Not called while there is no network at all. */
  readonly onChange: () => void
  /** The computer has slept, or its clock was set forward; the two cannot be told apart. */
  readonly onWake: () => void
}

/** A poll that comes so much too late means sleep. */
const sleptMs = 8_000

export class NetworkMonitor {
  readonly #options: NetworkMonitorOptions
  #knownKey: string
  #polledAt: number
  #polledAtWall: number
  #cancel: () => void = () => {}

  /** Starts polling at once. */
  constructor(options: NetworkMonitorOptions) {
    const { clock } = options
    this.#options = options
    this.#knownKey = addressKey(options.addresses())
    this.#polledAt = clock.now()
    this.#polledAtWall = clock.wallNow()
    this.#schedule()
  }

  stop(): void {
    this.#cancel()
  }

  #schedule(): void {
    const { clock, pollMs } = this.#options
    this.#cancel = clock.after(pollMs, () => {
      // First, because a callback may call `stop`.
      this.#schedule()
      this.#poll()
    })
  }

  #poll(): void {
    const { clock, pollMs, addresses, onChange, onWake } = this.#options
    // The monotonic clock stops during sleep on Linux but not on Windows. The wall clock never stops.
    const passedMs = Math.max(clock.now() - this.#polledAt, clock.wallNow() - this.#polledAtWall)
    this.#polledAt = clock.now()
    this.#polledAtWall = clock.wallNow()
    const now = addresses()
    const isOffline = now.every((address) => addressScope(address) === 'loopback')
    const hasChanged = addressKey(now) !== this.#knownKey
    if (hasChanged && !isOffline) {
      this.#knownKey = addressKey(now)
      onChange()
    } else if (passedMs > pollMs + sleptMs) onWake()
  }
}

function addressKey(addresses: readonly string[]): string {
  return [...new Set(addresses)].sort().join()
}
