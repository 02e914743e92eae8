// Whether a request may be looked at: by the name it came to, the page it came from, and the token it brings. A
// page that made its name lead to 127.0.0.1 (DNS rebinding) still sends that name.

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

/** `open`: for whoever comes to the right place, as are the files of the page. */
export type Need = 'open' | 'metrics' | 'any-caller' | 'owner'

export type RequestGuardOptions = {
  readonly clock: Clock
  readonly access: AccessTokens
  /** Where the server listens. */
  readonly place: () => Endpoint
}

export class RequestGuard {
  readonly #options: RequestGuardOptions
  /** Those without a token cannot use up the budget of those who have one. */
  readonly #strangers: TokenBucket
  readonly #callers: TokenBucket

  constructor(options: RequestGuardOptions) {
    this.#options = options
    this.#strangers = new TokenBucket(options.clock.now(), { burst: 60, perSecond: 10 })
    this.#callers = new TokenBucket(options.clock.now(), { burst: 200, perSecond: 50 })
  }

  /** Null when the request may be dealt with. */
  check(head: RequestHead, need: Need): ApiError | null {
    const caller = this.#options.access.callerOf(head.authorization)
    const budget = caller ? this.#callers : this.#strangers
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
    const place = this.#options.place()
    return [formatEndpoint(place), `localhost:${place.port}`]
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
