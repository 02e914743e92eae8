// How much the address server answers: UDP sources can be forged, so nobody can be sent more than this through us.

import { customerOf, type Endpoint } from '../base/endpoint.ts'
import type { Rate } from '../base/token-bucket.ts'

export type RateLimits = {
  /** For each IPv4 address and each IPv6 /64, which is what one customer has. */
  readonly source: Rate
  /** For all together, whoever asks. */
  readonly total: Rate
  /** Sources remembered. Beyond it the one that asked longest ago is forgotten; `total` holds all the same. */
  readonly sources: number
}

/** Room for some agents behind one address that search ports (100 samples a second for some seconds), and at most
 *  6 kB a second to any address somebody names as its own. */
export const defaultRateLimits: RateLimits = {
  source: { burst: 400, perSecond: 50 },
  total: { burst: 5_000, perSecond: 5_000 },
  sources: 16_384,
}

export class ResponseRateLimit {
  readonly #limits: RateLimits
  /** By source: when its bucket will be full again, monotonic ms; the one that asked last at the end. */
  readonly #fullAt = new Map<string, number>()
  #totalFullAt = Number.NEGATIVE_INFINITY

  constructor(limits: RateLimits = defaultRateLimits) {
    this.#limits = limits
  }

  /** Whether one more answer may go to this source; if so it is counted. */
  take(now: number, source: Endpoint): boolean {
    const key = customerOf(source)
    const fullAt = fullAfterOne(now, this.#fullAt.get(key), this.#limits.source)
    const totalFullAt = fullAfterOne(now, this.#totalFullAt, this.#limits.total)
    const granted = fullAt !== null && totalFullAt !== null
    if (granted) this.#totalFullAt = totalFullAt
    this.#remember(key, granted ? fullAt : this.#fullAt.get(key))
    return granted
  }

  get sources(): number {
    return this.#fullAt.size
  }

  /** Refused ones move to the end too: whoever is flooded must not be forgotten, for then its bucket would be full. */
  #remember(key: string, fullAt: number | undefined): void {
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

/** The bucket as one number: each answer moves the moment when it is full again, which may not be too far off. */
function fullAfterOne(now: number, fullAt: number | undefined, { burst, perSecond }: Rate): number | null {
  const next = Math.max(now, fullAt ?? now) + 1000 / perSecond
  return next - now > (burst * 1000) / perSecond + rounding ? null : next
}

/** Sums of fractions of milliseconds are not exact; a thousandth more or less is no answer. */
const rounding = 1e-3
