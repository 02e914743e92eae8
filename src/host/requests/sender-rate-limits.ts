// How much one sender may ask of the host: by its key, by its return address and by that address's domain. Kept in
// memory: at a restart all begin with full buckets, and nobody but the host's owner restarts it.

import { toHex } from '../../base/bytes.ts'
import { domainOf } from '../../base/mail-address.ts'
import { TokenBucket } from '../../base/token-bucket.ts'
import { TokenBucketMap } from '../../base/token-bucket-map.ts'
import type { UserId } from '../../letter/letter-types.ts'

/** Letters an hour, all at once or one by one; 0 for no limit. */
export type SenderLimitSettings = {
  readonly perKey: number
  readonly perAddress: number
  readonly perDomain: number
}

type Sender = { readonly key: UserId; readonly address: string }

/** Some megabytes when all are full; only members get in here. */
const mostSenders = 16_384
const mostDomains = 4_096

/** Whoever is over the limit is told to come back when this part of an hour's letters is there again. */
const worthComing = 0.1
/** Refusals told to all senders together: they must not become a way to make us write to strangers. */
const refusalRate = { burst: 60, perSecond: 60 / 3_600 }

export class SenderLimits {
  readonly #limits: readonly {
    readonly perHour: number
    readonly buckets: TokenBucketMap
    readonly of: (sender: Sender) => string
  }[]
  readonly #refusals: TokenBucket
  /** By key and by address: monotonic ms until which nothing more is told. */
  readonly #told = new Map<string, number>()

  /** `now` is monotonic milliseconds, here and below. */
  constructor(now: number, { perKey, perAddress, perDomain }: SenderLimitSettings) {
    const limit = (perHour: number, capacity: number, of: (sender: Sender) => string) => ({
      perHour,
      buckets: new TokenBucketMap({ burst: perHour, perSecond: perHour / 3_600 }, capacity),
      of,
    })
    this.#limits = [
      limit(perKey, mostSenders, keyOf),
      limit(perAddress, mostSenders, addressOf),
      limit(perDomain, mostDomains, lowerDomainOf),
    ].filter(({ perHour }) => perHour > 0)
    this.#refusals = new TokenBucket(now, refusalRate)
  }

  /** Counts one letter and says null; or counts nothing and says in how many whole ms it is worth coming again. */
  take(now: number, sender: Sender): number | null {
    const buckets = this.#limits.map(({ perHour, buckets, of }) => ({
      perHour,
      bucket: buckets.of(of(sender), now),
    }))
    const empty = buckets.filter(({ bucket }) => !bucket.has(now, 1))
    if (empty.length > 0) {
      const readyAt = empty.map(({ perHour, bucket }) => bucket.readyAt(Math.max(1, perHour * worthComing)))
      // Letters tell whole milliseconds.
      return Math.ceil(Math.max(...readyAt) - now)
    }
    for (const { bucket } of buckets) bucket.take(now, 1)
    return null
  }

  /** Whether a refusal may be told: once to each key and each address, then not again for `silenceMs`. */
  mayTell(now: number, sender: Sender, silenceMs: number): boolean {
    const names = [keyOf(sender), addressOf(sender)]
    if (names.some((name) => (this.#told.get(name) ?? now) > now)) return false
    if (!this.#refusals.tryTake(now)) return false
    for (const name of names) {
      this.#told.delete(name)
      this.#told.set(name, now + silenceMs)
    }
    // At most two for each of a day's refusals anyway.
    for (const oldest of this.#told.keys()) {
      if (this.#told.size <= mostSenders) break
      this.#told.delete(oldest)
    }
    return true
  }
}

function keyOf({ key }: Sender): string {
  return toHex(key)
}

/** Without regard to case: mail servers rewrite it. */
function addressOf({ address }: Sender): string {
  return address.toLowerCase()
}

function lowerDomainOf({ address }: Sender): string {
  return domainOf(address).toLowerCase()
}
