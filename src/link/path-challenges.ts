// The challenges of a link: random numbers sent on paths, their answers, and a limit on how many are sent.

import { toHex, viewOf } from '../base/bytes.ts'
import { type Endpoint, formatEndpoint } from '../base/endpoint.ts'
import type { Via } from '../base/protocol-machine.ts'
import { type Rate, TokenBucket } from '../base/token-bucket.ts'

export type Path = { readonly endpoint: Endpoint; readonly via: Via }

export type Challenge = {
  readonly to: Endpoint
  readonly via: Via
  readonly body: Uint8Array
}

/** Flags (1), random number (8). */
export const challengeBytes = 9
/** Flag: the sender does not receive anything from the other side. */
export const unheardFlag = 1

/** A limit, because a malicious peer could announce the addresses of third parties. */
export const challengeRate: Rate = { burst: 100, perSecond: 2 }
/** Unanswered challenges that are remembered. The oldest are dropped. */
const maxPending = 128
const pendingMs = 5_000

type Pending = { readonly path: string; readonly at: number }

export class PathChallenges {
  readonly #randomBytes: (length: number) => Uint8Array
  /** By random number in hex, oldest first. */
  readonly #pending = new Map<string, Pending>()
  readonly #allowed: TokenBucket

  constructor(now: number, randomBytes: (length: number) => Uint8Array) {
    this.#randomBytes = randomBytes
    this.#allowed = new TokenBucket(now, challengeRate)
  }

  /** One challenge for each path; none at all when that exceeds the rate. */
  make(now: number, paths: readonly Path[], flags: number): Challenge[] {
    if (!this.#allowed.tryTake(now, paths.length)) return []
    return paths.map((path) => this.#make(now, path, flags))
  }

  /**
   * The `pathKey` on which the challenge with this answer was sent; null when unknown or too old. Each counts
   * once.
   */
  takeAnswered(now: number, body: Uint8Array): string | null {
    const number = toHex(body.subarray(1, challengeBytes))
    const pending = this.#pending.get(number)
    this.#pending.delete(number)
    return pending && now - pending.at <= pendingMs ? pending.path : null
  }

  #make(now: number, path: Path, flags: number): Challenge {
    const random = this.#randomBytes(challengeBytes - 1)
    this.#pending.set(toHex(random), { path: pathKey(path), at: now })
    dropOldest(this.#pending, maxPending)
    const body = new Uint8Array(challengeBytes)
    viewOf(body).setUint8(0, flags)
    body.set(random, 1)
    return { to: path.endpoint, via: path.via, body }
  }
}

/** A path as the key of a map. */
export function pathKey({ endpoint, via }: Path): string {
  return `${via} ${formatEndpoint(endpoint)}`
}

/** Drops the oldest entries until `most` are left. */
export function dropOldest(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return
    map.delete(key)
  }
}
