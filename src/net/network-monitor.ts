// Looks at our own addresses now and then: another network, another address in it, or a computer that has slept. Node
// tells of none of these by itself.

import type { Clock } from '../base/clock.ts'
import { addressScope } from '../base/endpoint.ts'

type NetworkMonitorOptions = {
  readonly clock: Clock
  /** Between two looks. */
  readonly lookMs: number
  /** Our own, as of now. */
  readonly addresses: () => readonly string[]
  /** We have others than before. Not told while there is no network at all. */
  readonly onChange: () => void
  /** We were asleep, or the computer's clock was set forward, which cannot be told apart. */
  readonly onWake: () => void
}

/** A look so much later than it should be. */
const sleptMs = 8_000

export class NetworkMonitor {
  readonly #options: NetworkMonitorOptions
  #known: string
  #lookedAt: number
  #lookedAtWall: number
  #cancel: () => void = () => {}

  /** Starts at once. */
  constructor(options: NetworkMonitorOptions) {
    const { clock } = options
    this.#options = options
    this.#known = textOf(options.addresses())
    this.#lookedAt = clock.now()
    this.#lookedAtWall = clock.wallNow()
    this.#later()
  }

  stop(): void {
    this.#cancel()
  }

  #later(): void {
    const { clock, lookMs } = this.#options
    this.#cancel = clock.after(lookMs, () => {
      // First, for whoever is told may stop us.
      this.#later()
      this.#look()
    })
  }

  #look(): void {
    const { clock, lookMs, addresses, onChange, onWake } = this.#options
    // The monotonic clock stands still during sleep on Linux, and does not on Windows; that on the wall never does.
    const passedMs = Math.max(clock.now() - this.#lookedAt, clock.wallNow() - this.#lookedAtWall)
    this.#lookedAt = clock.now()
    this.#lookedAtWall = clock.wallNow()
    const now = addresses()
    const isOffline = now.every((address) => addressScope(address) === 'loopback')
    const hasChanged = textOf(now) !== this.#known
    if (hasChanged && !isOffline) {
      this.#known = textOf(now)
      onChange()
    } else if (passedMs > lookMs + sleptMs) onWake()
  }
}

function textOf(addresses: readonly string[]): string {
  return [...new Set(addresses)].sort().join()
}
