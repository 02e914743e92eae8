// The probes of tactics, queued until pacing allows them, in the order in which they were added.

import type { Via } from '../base/protocol-machine.ts'
import type { TokenBucket } from '../base/token-bucket.ts'
import type { Probe } from './tactics/tactic.ts'

/** So many single packets go out together, so that hundreds of them do not need hundreds of timers. */
const groupSize = 10

export class ProbeQueue {
  readonly #bucket: TokenBucket
  /** Bounded by the budget of the attempt. */
  #bursts: (readonly Probe[])[] = []
  /** Packets in the queue. */
  waiting = 0

  constructor(bucket: TokenBucket) {
    this.#bucket = bucket
  }

  add(burst: readonly Probe[]): void {
    this.#bursts.push(burst)
    this.waiting += burst.length
  }

  /** Removes and returns the probes that may be sent now. */
  takeDue(now: number): Probe[] {
    const due: Probe[] = []
    if (this.waiting === 0 || !this.#bucket.has(now, this.#needed)) return due
    let taken = 0
    for (const burst of this.#bursts) {
      if (!this.#bucket.has(now, burst.length)) break
      this.#bucket.take(now, burst.length)
      due.push(...burst)
      taken++
    }
    this.#bursts.splice(0, taken)
    this.waiting -= due.length
    return due
  }

  nextAt(): number | null {
    return this.waiting === 0 ? null : this.#bucket.readyAt(this.#needed)
  }

  /** Drops the queued probes of these sockets. */
  drop(vias: ReadonlySet<Via>): void {
    if (this.waiting === 0) return
    this.#bursts = this.#bursts
      .map((burst) => burst.filter((probe) => !vias.has(viaOf(probe))))
      .filter((burst) => burst.length > 0)
    this.waiting = this.#bursts.reduce((sum, burst) => sum + burst.length, 0)
  }

  clear(): void {
    this.#bursts = []
    this.waiting = 0
  }

  get #needed(): number {
    return Math.max(this.#bursts[0]?.length ?? 0, Math.min(groupSize, this.waiting))
  }
}

function viaOf(probe: Probe): Via {
  return probe.type === 'sample' ? probe.sample.via : probe.via
}
