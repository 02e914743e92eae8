// A token bucket. `burst` tokens may be taken at once, and `perSecond` flow in.

export type Rate = { readonly burst: number; readonly perSecond: number }

export class TokenBucket {
  readonly #rate: Rate
  #tokens: number
  #filledAt: number

  /** A new bucket is full. `now` is monotonic milliseconds, here and below. */
  constructor(now: number, rate: Rate) {
    this.#rate = rate
    this.#tokens = rate.burst
    this.#filledAt = now
  }

  /** Takes `count` tokens, or takes none and returns false. */
  tryTake(now: number, count = 1): boolean {
    if (!this.has(now, count)) return false
    this.#tokens -= count
    return true
  }

  /** For traffic that cannot wait. The bucket may go below zero; later callers wait until it is filled again. */
  take(now: number, count: number): void {
    this.#fill(now)
    this.#tokens -= count
  }

  has(now: number, count: number): boolean {
    this.#fill(now)
    return this.#tokens >= count
  }

  /** When there will be `count` tokens if nobody takes any. `count` must not exceed `burst`. */
  readyAt(count: number): number {
    // Rounded up: a timer that fires slightly early finds too few tokens and must be set again.
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
