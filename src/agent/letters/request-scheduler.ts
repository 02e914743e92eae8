// When the host is asked: at the start, again while nobody answers, before our entry expires, and when what the
// host tells others of us is out of date. Each request replaces the one that was due.

import type { Clock } from '../../base/clock.ts'

type RequestSchedulerOptions = {
  readonly clock: Clock
  /** A request without an answer is repeated after this time, then ever more seldom. */
  readonly askAgainMs: number
  /** Sends one request, with a fresh session, to every host. */
  readonly ask: () => void
  /** No answer for so long; `ask` follows. */
  readonly onUnanswered: (sinceRequestMs: number) => void
}

/** Between two requests, whatever happens: mail is not for chatting. */
const leastBetweenRequestsMs = 15_000
const mostBetweenRequestsMs = 10 * 60_000
/** Our entry is refreshed when this part of its life is over, but no sooner than `leastRefreshMs`, whatever a
 *  host says. */
const refreshAfter = 0.5
const leastRefreshMs = 60_000
/** No host can keep us away for longer. */
const mostDeclinedMs = 24 * 3_600_000

export class RequestScheduler {
  readonly #options: RequestSchedulerOptions
  #cancel: () => void = () => {}
  #askedAt: number | null = null
  #unansweredMs: number
  /** Since the last request something happened that the host should know: no answer puts the next one off. */
  #hasNews = false
  /** A host wants to hear nothing before; monotonic ms. */
  #declinedUntil = Number.NEGATIVE_INFINITY
  #stopped = false

  constructor(options: RequestSchedulerOptions) {
    this.#options = options
    this.#unansweredMs = options.askAgainMs
  }

  start(): void {
    if (!this.#stopped) this.#ask()
  }

  /** Asks as soon as manners allow. Nothing before the start, whose request tells everything anyway. */
  requestSoon(): void {
    if (this.#askedAt === null) return
    this.#hasNews = true
    this.#askIn(0)
  }

  /** `newest`: the answer is to the latest request, not to one before it. */
  answered(expiresInMs: number, newest: boolean): void {
    this.#unansweredMs = this.#options.askAgainMs
    this.#declinedUntil = Number.NEGATIVE_INFINITY
    if (newest && !this.#hasNews) this.#askIn(Math.max(leastRefreshMs, expiresInMs * refreshAfter))
  }

  /** The host wants no request for so long, and will not answer one; what is new waits too. Where another host answers,
   *  that counts. Says how long we keep quiet indeed. */
  declined(againInMs: number): number {
    const waitMs = Math.min(Math.max(againInMs, leastRefreshMs), mostDeclinedMs)
    this.#declinedUntil = this.#options.clock.now() + waitMs
    this.#unansweredMs = this.#options.askAgainMs
    this.#askIn(waitMs)
    return waitMs
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  #askIn(delayMs: number, reason: 'due' | 'unanswered' = 'due'): void {
    this.#cancel()
    if (this.#stopped) return
    const { clock, onUnanswered } = this.#options
    const askedAt = this.#askedAt ?? clock.now()
    const earliest = Math.max(askedAt + leastBetweenRequestsMs, this.#declinedUntil) - clock.now()
    this.#cancel = clock.after(Math.max(delayMs, earliest), () => {
      if (reason === 'unanswered') onUnanswered(Math.round(clock.now() - askedAt))
      if (!this.#stopped) this.#ask()
    })
  }

  #ask(): void {
    this.#askedAt = this.#options.clock.now()
    this.#hasNews = false
    this.#options.ask()
    this.#askIn(this.#unansweredMs, 'unanswered')
    this.#unansweredMs = Math.min(2 * this.#unansweredMs, mostBetweenRequestsMs)
  }
}
