// Limits the answers of the address server. UDP sources can be forged, so an attacker could direct our answers at a victim.

import { customerOf, type Endpoint } from '../base/endpoint.ts'
import type { Rate } from '../base/token-bucket.ts'

export type RateLimits = {
  /** For each IPv4 address and each IPv6 /64: the range that one customer has. */
  readonly source: Rate
  /** For all sources together. */
  readonly total: Rate
  /** How many sources are stored. Beyond it the one that asked longest ago is removed. `total` still holds. */
  readonly sources: number
}

/** Enough for some agents behind one address that search ports: each asks 100 times a second for some seconds. A forged
 *  source is sent at most 6 kB a second. */
export const defaultRateLimits: RateLimits = {
  source: { burst: 400, perSecond: 50 },
  total: { burst: 5_000, perSecond: 5_000 },
  sources: 16_384,
}

export class ResponseRateLimit {
  readonly #limits: RateLimits
  /** By source: when its bucket is full again, in monotonic ms. The source that asked last is last. */
  readonly #fullAt = new Map<string, number>()
  #totalFullAt = Number.NEGATIVE_INFINITY

  constructor(limits: RateLimits = defaultRateLimits) {
    this.#limits = limits
  }

  /** Whether one more answer may be sent to this source. If so, it is counted. */
  take(now: number, source: Endpoint): boolean {
    const key = customerOf(source)
    const fullAt = fullAfterOne(now, this.#fullAt.get(key), this.#limits.source)
    const totalFullAt = fullAfterOne(now, this.#totalFullAt, this.#limits.total)
    const granted = fullAt !== null && totalFullAt !== null
    if (granted) this.#totalFullAt = totalFullAt
    this.#store(key, granted ? fullAt : this.#fullAt.get(key))
    return granted
  }

  get sources(): number {
    return this.#fullAt.size
  }

  /** A refused source moves to the end too. If it were removed while it is flooded, it would get a full bucket. */
  #store(key: string, fullAt: number | undefined): void {
    if (fullAt === undefined) return
    this.#fullAt.delete(key)
    this.#fullAt.set(key, fullAt)
    if (this.#fullAt.size <= this.#limits.sources) return
    for (const oldest of this.#fullAt.keys()) {
      this.#fullAt.delete(oldest)
      return
    }
  }
}

/** A token bucket as one number: the time when it is full again. Each answer moves this time later. Null when it would
 *  be later than an empty bucket allows. */
function fullAfterOne(now: number, fullAt: number | undefined, { burst, perSecond }: Rate): number | null {
  const next = Math.max(now, fullAt ?? now) + 1000 / perSecond
  return next - now > (burst * 1000) / perSecond + rounding ? null : next
}

/** Sums of fractions of milliseconds are not exact. This is less than the time of one answer. */
const rounding = 1e-3
