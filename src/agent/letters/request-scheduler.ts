// Decides when a request goes to the hosts: at the start, again while no reply comes, before our entry expires, and
// when our candidates have changed. Each request replaces the one that was scheduled.

import type { Clock } from '../../base/clock.ts'

type RequestSchedulerOptions = {
  readonly clock: Clock
  /** A request without a reply is repeated after this time. The interval then doubles. */
  readonly retryMs: number
  /** Sends one request with a fresh session to every host. */
  readonly sendRequest: () => void
  /** No reply came in this time. `sendRequest` follows. */
  readonly onNoReply: (sinceRequestMs: number) => void
}

/** Protects mail servers and hosts from a flood of requests. */
const minRequestIntervalMs = 15_000
const maxRequestIntervalMs = 10 * 60_000
/** Our entry is refreshed after this share of its lifetime, but never sooner than `minRefreshMs`. */
const refreshShare = 0.5
const minRefreshMs = 60_000
/** Limits how long a host can keep us from sending requests. */
const maxDeclineMs = 24 * 3_600_000

export class RequestScheduler {
  readonly #options: RequestSchedulerOptions
  #cancel: () => void = () => {}
  #requestedAt: number | null = null
  #retryMs: number
  /** Something changed since the last request. A reply to that request then does not delay the next one. */
  #hasChanges = false
  /** A host wants no request before this time (monotonic ms). */
  #declinedUntil = Number.NEGATIVE_INFINITY
  #stopped = false

  constructor(options: RequestSchedulerOptions) {
    this.#options = options
    this.#retryMs = options.retryMs
  }

  start(): void {
    if (!this.#stopped) this.#sendRequest()
  }

  /** Sends a request as soon as the limits allow. Does nothing before `start`, because the first request has everything. */
  requestSoon(): void {
    if (this.#requestedAt === null) return
    this.#hasChanges = true
    this.#scheduleIn(0)
  }

  /** `isNewest`: the reply belongs to the latest request, not to an older one. */
  handleReply(expiresInMs: number, isNewest: boolean): void {
    this.#retryMs = this.#options.retryMs
    this.#declinedUntil = Number.NEGATIVE_INFINITY
    if (isNewest && !this.#hasChanges) this.#scheduleIn(Math.max(minRefreshMs, expiresInMs * refreshShare))
  }

  /** The host answers no request for `againInMs`, so changes wait too. A reply of another host ends the wait. Returns
   *  how long we really wait. */
  handleDecline(againInMs: number): number {
    const waitMs = Math.min(Math.max(againInMs, minRefreshMs), maxDeclineMs)
    this.#declinedUntil = this.#options.clock.now() + waitMs
    this.#retryMs = this.#options.retryMs
    this.#scheduleIn(waitMs)
    return waitMs
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  #scheduleIn(delayMs: number, reason: 'due' | 'no-reply' = 'due'): void {
    this.#cancel()
    if (this.#stopped) return
    const { clock, onNoReply } = this.#options
    const requestedAt = this.#requestedAt ?? clock.now()
    const earliest = Math.max(requestedAt + minRequestIntervalMs, this.#declinedUntil) - clock.now()
    this.#cancel = clock.after(Math.max(delayMs, earliest), () => {
      if (reason === 'no-reply') onNoReply(Math.round(clock.now() - requestedAt))
      if (!this.#stopped) this.#sendRequest()
    })
  }

  #sendRequest(): void {
    this.#requestedAt = this.#options.clock.now()
    this.#hasChanges = false
    this.#options.sendRequest()
    this.#scheduleIn(this.#retryMs, 'no-reply')
    this.#retryMs = Math.min(2 * this.#retryMs, maxRequestIntervalMs)
  }
}
