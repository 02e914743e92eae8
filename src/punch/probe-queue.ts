// What tactics want sent waits here until pacing allows it, in the order in which it was asked for.

import type { Via } from '../base/protocol-machine.ts'
import type { TokenBucket } from '../base/token-bucket.ts'
import type { Shot } from './tactics/tactic.ts'

/** Of single packets so many go out together, that hundreds of them do not need hundreds of timers. */
const together = 10

export class Volleys {
  readonly #bucket: TokenBucket
  /** Bounded by the budget of the attempt. */
  #volleys: (readonly Shot[])[] = []
  /** Packets in them. */
  waiting = 0

  constructor(bucket: TokenBucket) {
    this.#bucket = bucket
  }

  add(volley: readonly Shot[]): void {
    this.#volleys.push(volley)
    this.waiting += volley.length
  }

  /** Those that may go out now. */
  takeDue(now: number): Shot[] {
    const due: Shot[] = []
    if (this.waiting === 0 || !this.#bucket.has(now, this.#needed)) return due
    let taken = 0
    for (const volley of this.#volleys) {
      if (!this.#bucket.has(now, volley.length)) break
      this.#bucket.take(now, volley.length)
      due.push(...volley)
      taken++
    }
    this.#volleys.splice(0, taken)
    this.waiting -= due.length
    return due
  }

  nextAt(): number | null {
    return this.waiting === 0 ? null : this.#bucket.readyAt(this.#needed)
  }

  /** What would have gone out by these sockets does not. */
  drop(vias: ReadonlySet<Via>): void {
    if (this.waiting === 0) return
    this.#volleys = this.#volleys
      .map((volley) => volley.filter((shot) => !vias.has(viaOf(shot))))
      .filter((volley) => volley.length > 0)
    this.waiting = this.#volleys.reduce((sum, volley) => sum + volley.length, 0)
  }

  clear(): void {
    this.#volleys = []
    this.waiting = 0
  }

  get #needed(): number {
    return Math.max(this.#volleys[0]?.length ?? 0, Math.min(together, this.waiting))
  }
}

export function viaOf(shot: Shot): Via {
  return shot.type === 'sample' ? shot.sample.via : shot.via
}
