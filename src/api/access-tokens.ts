// Who may use the control API: whoever can read the control file has its token; a page gets one of its own for a
// one-time code. Page tokens are kept by the page for its origin, port included. Cookies would be sent to every
// port of this computer.

import { createHash, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../base/clock.ts'

/** How long a code may be used, once. */
export const codeMs = 5 * 60_000
/** Codes not yet used, and pages; beyond it the oldest is worth nothing any more. */
const maxCodes = 8
const maxPages = 16

/** `metrics`: whoever has the token that the config names for them, such as Prometheus. */
export type Caller = 'owner' | 'page' | 'metrics'

export type AccessTokensOptions = {
  readonly clock: Clock
  readonly randomBytes: (length: number) => Uint8Array
  /** Null when there is none. */
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

  /** Good for one page. */
  newCode(): string {
    const code = this.#newSecret()
    bound(this.#codes, maxCodes)
    this.#codes.set(digestOf(code), this.#options.clock.now() + codeMs)
    return code
  }

  /** The page's token, or null for a code that is unknown, used or too old. */
  redeem(code: string): string | null {
    const digest = digestOf(code)
    const expiresAt = this.#codes.get(digest)
    this.#codes.delete(digest)
    if (expiresAt === undefined || expiresAt <= this.#options.clock.now()) return null
    const token = this.#newSecret()
    bound(this.#pages, maxPages)
    this.#pages.add(digestOf(token))
    return token
  }

  /** Of an Authorization header; null for anything but a token of ours. */
  callerOf(authorization: string | undefined): Caller | null {
    const [, token] = /^Bearer ([\w-]{20,128})$/i.exec(authorization ?? '') ?? []
    if (token === undefined) return null
    const digest = digestOf(token)
    const isOf = (secret: string) => timingSafeEqual(Buffer.from(digest), Buffer.from(digestOf(secret)))
    if (isOf(this.token)) return 'owner'
    const { metricsToken = null } = this.#options
    if (metricsToken !== null && isOf(metricsToken)) return 'metrics'
    return this.#pages.has(digest) ? 'page' : null
  }

  #newSecret(): string {
    return Buffer.from(this.#options.randomBytes(32)).toString('base64url')
  }
}

/** Digests are compared and looked up instead of secrets: how long that takes tells nothing of them. */
function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url')
}

function bound(kept: Map<string, number> | Set<string>, most: number): void {
  const [oldest] = kept.keys()
  if (oldest !== undefined && kept.size >= most) kept.delete(oldest)
}
