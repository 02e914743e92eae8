// Decides whether a request is handled: by its Host header, its origin and its token. The Host header stops DNS rebinding: a
// foreign page whose name resolves to 127.0.0.1 still sends this name.

import type { Clock } from '../base/clock.ts'
import { type Endpoint, formatEndpoint } from '../base/endpoint.ts'
import { TokenBucket } from '../base/token-bucket.ts'
import type { AccessTokens, Caller } from './access-tokens.ts'
import { type ApiError, faults } from './api-error.ts'

export type RequestHead = {
  readonly host: string | undefined
  readonly origin: string | undefined
  /** `Sec-Fetch-Site`, which browsers add and pages cannot forge. */
  readonly site: string | undefined
  readonly authorization: string | undefined
}

/** Who may send a request. `open`: anybody, as with the files of the page. */
export type Need = 'open' | 'metrics' | 'any-caller' | 'owner'

export type RequestGuardOptions = {
  readonly clock: Clock
  readonly access: AccessTokens
  /** The endpoint on which the server listens. */
  readonly endpoint: () => Endpoint
}

export class RequestGuard {
  readonly #options: RequestGuardOptions
  /** Callers without a token have their own budget, so that they cannot use up that of the others. */
  readonly #anonymous: TokenBucket
  readonly #callers: TokenBucket

  constructor(options: RequestGuardOptions) {
    this.#options = options
    this.#anonymous = new TokenBucket(options.clock.now(), { burst: 60, perSecond: 10 })
    this.#callers = new TokenBucket(options.clock.now(), { burst: 200, perSecond: 50 })
  }

  /** Null when the request may be handled. */
  check(head: RequestHead, need: Need): ApiError | null {
    const caller = this.#options.access.callerOf(head.authorization)
    const budget = caller ? this.#callers : this.#anonymous
    if (!budget.tryTake(this.#options.clock.now())) return faults.tooMany
    if (!this.#names().includes(head.host?.toLowerCase() ?? '')) return faults.wrongHost
    if (!this.#isOwnPage(head)) return faults.wrongOrigin
    return isEnough(caller, need) ? null : faults.noToken
  }

  #isOwnPage({ origin, site, host }: RequestHead): boolean {
    const fits = origin === undefined || origin.toLowerCase() === `http://${host?.toLowerCase()}`
    return fits && (site === undefined || site === 'same-origin' || site === 'none')
  }

  #names(): readonly string[] {
    const endpoint = this.#options.endpoint()
    return [formatEndpoint(endpoint), `localhost:${endpoint.port}`]
  }
}

function isEnough(caller: Caller | null, need: Need): boolean {
  switch (need) {
    case 'open':
      return true
    case 'metrics':
      return caller !== null
    case 'any-caller':
      return caller === 'owner' || caller === 'page'
    case 'owner':
      return caller === 'owner'
  }
}
