// One token bucket for each key. A key that is not in the map has a full bucket.

import { type Rate, TokenBucket } from './token-bucket.ts'

export class TokenBucketMap {
  readonly #rate: Rate
  readonly #capacity: number
  /** The most recently used key is last. */
  readonly #buckets = new Map<string, TokenBucket>()

  /** Beyond `capacity` the least recently used key is removed, and has a full bucket again. */
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
    // Moved to the end even if the caller takes nothing. A key over its limit must not be removed, for it would get a
    // full bucket.
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size > this.#capacity && oldest !== undefined) this.#buckets.delete(oldest)
    return bucket
  }
}
