// A budget that refills: so many at once, so many a second.

import type { Clock } from '../base/clock.ts'

export class Bucket {
  readonly #clock: Clock
  readonly #most: number
  readonly #perSecond: number
  #left: number
  #filledAt: number

  constructor(clock: Clock, most: number, perSecond: number) {
    this.#clock = clock
    this.#most = most
    this.#perSecond = perSecond
    this.#left = most
    this.#filledAt = clock.now()
  }

  /** False when there is nothing left. */
  take(): boolean {
    const now = this.#clock.now()
    this.#left = Math.min(this.#most, this.#left + ((now - this.#filledAt) / 1000) * this.#perSecond)
    this.#filledAt = now
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}
