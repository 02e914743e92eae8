// What tactics want sent waits here until pacing allows it, in the order in which it was asked for.

import type { Via } from '../base/protocol-machine.ts'
import type { TokenBucket } from '../base/token-bucket.ts'
import type { Probe } from './tactics/tactic.ts'

/** Of single packets so many go out together, that hundreds of them do not need hundreds of timers. */
const together = 10

export class ProbeQueue {
  readonly #bucket: TokenBucket
  /** Bounded by the budget of the attempt. */
  #probeQueue: (readonly Probe[])[] = []
  /** Packets in them. */
  waiting = 0

  constructor(bucket: TokenBucket) {
    this.#bucket = bucket
  }

  add(burst: readonly Probe[]): void {
    this.#probeQueue.push(burst)
    this.waiting += burst.length
  }

  /** Those that may go out now. */
  takeDue(now: number): Probe[] {
    const due: Probe[] = []
    if (this.waiting === 0 || !this.#bucket.has(now, this.#needed)) return due
    let taken = 0
    for (const burst of this.#probeQueue) {
      if (!this.#bucket.has(now, burst.length)) break
      this.#bucket.take(now, burst.length)
      due.push(...burst)
      taken++
    }
    this.#probeQueue.splice(0, taken)
    this.waiting -= due.length
    return due
  }

  nextAt(): number | null {
    return this.waiting === 0 ? null : this.#bucket.readyAt(this.#needed)
  }

  /** What would have gone out by these sockets does not. */
  drop(vias: ReadonlySet<Via>): void {
    if (this.waiting === 0) return
    this.#probeQueue = this.#probeQueue
      .map((burst) => burst.filter((probe) => !vias.has(viaOf(probe))))
      .filter((burst) => burst.length > 0)
    this.waiting = this.#probeQueue.reduce((sum, burst) => sum + burst.length, 0)
  }

  clear(): void {
    this.#probeQueue = []
    this.waiting = 0
  }

  get #needed(): number {
    return Math.max(this.#probeQueue[0]?.length ?? 0, Math.min(together, this.waiting))
  }
}

function viaOf(probe: Probe): Via {
  return probe.type === 'sample' ? probe.sample.via : probe.via
}
