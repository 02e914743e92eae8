// A budget that refills by itself: so many at once, so many a second in the long run.

export type Rate = { readonly burst: number; readonly perSecond: number }

export class TokenBucket {
  readonly #rate: Rate
  #tokens: number
  #filledAt: number

  /** Full. `now` is monotonic milliseconds, here and below. */
  constructor(now: number, rate: Rate) {
    this.#rate = rate
    this.#tokens = rate.burst
    this.#filledAt = now
  }

  /** Takes them all, or none and says so. */
  tryTake(now: number, count = 1): boolean {
    if (!this.has(now, count)) return false
    this.#tokens -= count
    return true
  }

  /** May go below nothing, for what cannot wait; others then wait for it. */
  take(now: number, count: number): void {
    this.#fill(now)
    this.#tokens -= count
  }

  has(now: number, count: number): boolean {
    this.#fill(now)
    return this.#tokens >= count
  }

  /** When there will be `count` of them, at most `burst`, if nobody takes any. */
  readyAt(count: number): number {
    // Rounded up, for a timer that goes off a hair too early would find nothing and be set again at once.
    const missing = Math.max(0, count - this.#tokens)
    return this.#filledAt + Math.ceil((missing * 1_000) / this.#rate.perSecond)
  }

  #fill(now: number): void {
    if (now <= this.#filledAt) return
    const { burst, perSecond } = this.#rate
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#filledAt) * perSecond) / 1_000)
    this.#filledAt = now
  }
}
