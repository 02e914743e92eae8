// Challenges of a link: random numbers sent to places, their answers, and how many may be sent.

import { toHex, viewOf } from '../base/bytes.ts'
import { type Endpoint, formatEndpoint } from '../base/endpoint.ts'
import type { Via } from '../base/protocol-machine.ts'
import { type Rate, TokenBucket } from '../base/token-bucket.ts'

export type Place = { readonly endpoint: Endpoint; readonly via: Via }

export type Challenge = {
  readonly to: Endpoint
  readonly via: Via
  readonly body: Uint8Array
}

/** Flags (1), random number (8). */
export const challengeBytes = 9
/** Flag: whoever challenges does not hear the other any more. */
export const unheardFlag = 1

/** A peer could name the addresses of third parties: challenges at once, and each second in the long run. */
export const challengeRate: Rate = { burst: 100, perSecond: 2 }
/** Unanswered challenges that are remembered; the oldest go. */
const maxPending = 128
const pendingMs = 5_000

type Pending = { readonly place: string; readonly at: number }

export class PathChallenges {
  readonly #randomBytes: (length: number) => Uint8Array
  /** By random number, oldest first. */
  readonly #pending = new Map<string, Pending>()
  readonly #allowed: TokenBucket

  constructor(now: number, randomBytes: (length: number) => Uint8Array) {
    this.#randomBytes = randomBytes
    this.#allowed = new TokenBucket(now, challengeRate)
  }

  /** One for each of these places, or none when that were too many. */
  make(now: number, places: readonly Place[], flags: number): Challenge[] {
    if (!this.#allowed.tryTake(now, places.length)) return []
    return places.map((place) => this.#make(now, place, flags))
  }

  /** The place that the challenge with this answer was sent to; each counts once. */
  answered(now: number, body: Uint8Array): string | null {
    const number = toHex(body.subarray(1, challengeBytes))
    const pending = this.#pending.get(number)
    this.#pending.delete(number)
    return pending && now - pending.at <= pendingMs ? pending.place : null
  }

  #make(now: number, place: Place, flags: number): Challenge {
    const random = this.#randomBytes(challengeBytes - 1)
    this.#pending.set(toHex(random), { place: keyOf(place), at: now })
    shorten(this.#pending, maxPending)
    const body = new Uint8Array(challengeBytes)
    viewOf(body).setUint8(0, flags)
    body.set(random, 1)
    return { to: place.endpoint, via: place.via, body }
  }
}

/** A place as one word. */
export function keyOf({ endpoint, via }: Place): string {
  return `${via} ${formatEndpoint(endpoint)}`
}

/** The oldest go until there are `most`. */
export function shorten(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return
    map.delete(key)
  }
}
