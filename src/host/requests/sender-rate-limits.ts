// Limits the letters of one sender: by its key, by its return address and by the domain of that address. The buckets are in
// memory and full after a restart; only the owner of the host can restart it.

import { toHex } from '../../base/bytes.ts'
import { domainOf } from '../../base/mail-address.ts'
import { TokenBucket } from '../../base/token-bucket.ts'
import { TokenBucketMap } from '../../base/token-bucket-map.ts'
import type { UserId } from '../../letter/letter-types.ts'

/** Letters in an hour, evenly or all at once; 0: no limit. */
export type SenderLimitSettings = {
  readonly perKey: number
  readonly perAddress: number
  readonly perDomain: number
}

type Sender = { readonly key: UserId; readonly address: string }

/** A few megabytes when all are full. Only members get a bucket. */
const maxSenders = 16_384
const maxDomains = 4_096

/** A sender over its limit should try again when this share of its hourly letters is free. */
const retryShare = 0.1
/** For all senders together, so that nobody can make us write many mails to strangers. */
const declineRate = { burst: 60, perSecond: 60 / 3_600 }

export class SenderLimits {
  readonly #limits: readonly {
    readonly perHour: number
    readonly buckets: TokenBucketMap
    readonly of: (sender: Sender) => string
  }[]
  readonly #declines: TokenBucket
  /** By key and by address: until when no further reply declines, in monotonic ms. */
  readonly #declinedUntil = new Map<string, number>()

  /** `now` is monotonic ms, here and below. */
  constructor(now: number, { perKey, perAddress, perDomain }: SenderLimitSettings) {
    const limit = (perHour: number, capacity: number, of: (sender: Sender) => string) => ({
      perHour,
      buckets: new TokenBucketMap({ burst: perHour, perSecond: perHour / 3_600 }, capacity),
      of,
    })
    this.#limits = [
      limit(perKey, maxSenders, keyOf),
      limit(perAddress, maxSenders, addressOf),
      limit(perDomain, maxDomains, lowerDomainOf),
    ].filter(({ perHour }) => perHour > 0)
    this.#declines = new TokenBucket(now, declineRate)
  }

  /** Counts one letter and returns null. Over a limit it counts nothing, and returns after how many whole ms the sender should
   *  try again. */
  take(now: number, sender: Sender): number | null {
    const buckets = this.#limits.map(({ perHour, buckets, of }) => ({
      perHour,
      bucket: buckets.of(of(sender), now),
    }))
    const empty = buckets.filter(({ bucket }) => !bucket.has(now, 1))
    if (empty.length > 0) {
      const readyAt = empty.map(({ perHour, bucket }) => bucket.readyAt(Math.max(1, perHour * retryShare)))
      // Letters carry whole milliseconds.
      return Math.ceil(Math.max(...readyAt) - now)
    }
    for (const { bucket } of buckets) bucket.take(now, 1)
    return null
  }

  /** Whether a reply may decline this request. True once for each key and each address, then false for `silenceMs`. */
  mayDecline(now: number, sender: Sender, silenceMs: number): boolean {
    const names = [keyOf(sender), addressOf(sender)]
    if (names.some((name) => (this.#declinedUntil.get(name) ?? now) > now)) return false
    if (!this.#declines.tryTake(now)) return false
    for (const name of names) {
      this.#declinedUntil.delete(name)
      this.#declinedUntil.set(name, now + silenceMs)
    }
    // The oldest are dropped first. `declineRate` allows far fewer in a day.
    for (const oldest of this.#declinedUntil.keys()) {
      if (this.#declinedUntil.size <= maxSenders) break
      this.#declinedUntil.delete(oldest)
    }
    return true
  }
}

function keyOf({ key }: Sender): string {
  return toHex(key)
}

/** Ignores case, which mail servers change. */
function addressOf({ address }: Sender): string {
  return address.toLowerCase()
}

function lowerDomainOf({ address }: Sender): string {
  return domainOf(address).toLowerCase()
}
