// One token bucket for each of many: whoever is not in the map has a full one.

import { type Rate, TokenBucket } from './token-bucket.ts'

export class TokenBucketMap {
  readonly #rate: Rate
  readonly #capacity: number
  /** Whoever was asked for last stands at the end. */
  readonly #buckets = new Map<string, TokenBucket>()

  /** Beyond `capacity` the one that was asked for longest ago is forgotten, and has a full bucket again. */
  constructor(rate: Rate, capacity: number) {
    this.#rate = rate
    this.#capacity = capacity
  }

  get size(): number {
    return this.#buckets.size
  }

  /** `now` is monotonic milliseconds. */
  of(key: string, now: number): TokenBucket {
    const bucket = this.#buckets.get(key) ?? new TokenBucket(now, this.#rate)
    // Also when nothing will be taken: whoever is over the limit must not be forgotten for asking.
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size > this.#capacity && oldest !== undefined) this.#buckets.delete(oldest)
    return bucket
  }
}
