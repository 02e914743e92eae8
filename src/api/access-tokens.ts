// Who may use the control API. A program that can read the control file has its token. A page gets its own token for a
// one-time code, and stores it for its origin, which includes the port. Cookies would be sent to every port of this computer.

import { createHash, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../base/clock.ts'

/** How long a code is valid. It can be used once. */
export const codeMs = 5 * 60_000
/** The maximum numbers of unused codes and of pages. Beyond it the oldest becomes invalid. */
const maxCodes = 8
const maxPages = 16

/** `metrics`: a caller such as Prometheus, with the token in `metrics_token_file`. */
export type Caller = 'owner' | 'page' | 'metrics'

export type AccessTokensOptions = {
  readonly clock: Clock
  readonly randomBytes: (length: number) => Uint8Array
  /** Null: nobody may read only the metrics. */
  readonly metricsToken?: string | null
}

export class AccessTokens {
  readonly #options: AccessTokensOptions
  readonly token: string
  readonly #codes = new Map<string, number>()
  readonly #pages = new Set<string>()

  constructor(options: AccessTokensOptions) {
    this.#options = options
    this.token = this.#newSecret()
  }

  /** Returns a code with which one page can get a token. */
  newCode(): string {
    const code = this.#newSecret()
    removeOldest(this.#codes, maxCodes)
    this.#codes.set(digestOf(code), this.#options.clock.now() + codeMs)
    return code
  }

  /** Returns a token for the page. Null when the code is unknown, used or too old. */
  redeem(code: string): string | null {
    const digest = digestOf(code)
    const expiresAt = this.#codes.get(digest)
    this.#codes.delete(digest)
    if (expiresAt === undefined || expiresAt <= this.#options.clock.now()) return null
    const token = this.#newSecret()
    removeOldest(this.#pages, maxPages)
    this.#pages.add(digestOf(token))
    return token
  }

  /** The caller with this Authorization header. Null when it has no valid token. */
  callerOf(authorization: string | undefined): Caller | null {
    const [, token] = /^Bearer ([\w-]{20,128})$/i.exec(authorization ?? '') ?? []
    if (token === undefined) return null
    const digest = digestOf(token)
    const matches = (secret: string) => timingSafeEqual(Buffer.from(digest), Buffer.from(digestOf(secret)))
    if (matches(this.token)) return 'owner'
    const { metricsToken = null } = this.#options
    if (metricsToken !== null && matches(metricsToken)) return 'metrics'
    return this.#pages.has(digest) ? 'page' : null
  }

  #newSecret(): string {
    return Buffer.from(this.#options.randomBytes(32)).toString('base64url')
  }
}

/** Digests are compared instead of secrets, so that the time of a comparison reveals nothing about a secret. */
function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}

function removeOldest(entries: Map<string, number> | Set<string>, max: number): void {
  const [oldest] = entries.keys()
  if (oldest !== undefined && entries.size >= max) entries.delete(oldest)
}
