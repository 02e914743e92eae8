// The mails of the outbox that are to be sent next: looked up a few at a time, so that not every one costs a query. Where
// several processes send from one outbox, each claims what it looks up, and gives back what it does not begin.

import type { MailSender } from '../../mail/sender.ts'
import type { MailLeases } from '../../store/mail-leases.ts'
import type { Urgency, WaitingMail } from '../../store/outbox.ts'
import { type HostParts, withDatabase } from '../context.ts'

/** Looked up at a time, where nothing is claimed. */
const lookAhead = 32

export type SendQueueNotices = {
  /** Under way, or sent and not yet out of the outbox: not to be tried again. */
  readonly busy: ReadonlySet<number>
  /** In so many ms there may be more that are due. */
  readonly onMoreIn: (delayMs: number) => void
}

export class SendQueue {
  readonly #parts: HostParts
  readonly #sender: Pick<MailSender, 'concurrency'>
  readonly #notices: SendQueueNotices
  /** At most `lookAhead` of each urgency; where they are claimed, at most as many as are sent at a time. */
  readonly #queues: Readonly<Record<Urgency, WaitingMail[]>> = { urgent: [], normal: [] }
  /** Whether the outbox may hold due mails that are not in the queue. */
  readonly #mayHoldMore: Record<Urgency, boolean> = { urgent: true, normal: true }
  /** Monotonic ms; after it nothing that is in the queues may be begun, as its claim might end before it is sent. */
  #claimedUntil = Number.POSITIVE_INFINITY

  constructor(parts: HostParts, sender: Pick<MailSender, 'concurrency'>, notices: SendQueueNotices) {
    this.#parts = parts
    this.#sender = sender
    this.#notices = notices
  }

  /** Whether replies wait to be sent, as far as is known without looking. */
  get mayHoldReplies(): boolean {
    return this.#queues.urgent.length > 0 || this.#mayHoldMore.urgent
  }

  /** There are new mails in the outbox, or it is time to try old ones again. */
  lookAgain(urgencies: readonly Urgency[]): void {
    for (const urgency of urgencies) this.#mayHoldMore[urgency] = true
  }

  /** Throws a Problem 'database'. */
  next(urgency: Urgency): WaitingMail | undefined {
    const queue = this.#queues[urgency]
    if (this.#isTooLate) this.forget()
    if (queue.length === 0 && this.#mayHoldMore[urgency]) {
      const now = this.#parts.clock.wallNow()
      const { claims, database } = this.#parts
      queue.push(
        ...withDatabase(database, () =>
          claims ? this.#claim(claims, urgency, now) : this.#lookUp(urgency, now),
        ),
      )
      this.#mayHoldMore[urgency] = queue.length > 0
    }
    return queue.shift()
  }

  /** Nothing of what is in hand will be begun. What was claimed comes again when its claim has ended. */
  forget(): void {
    if (this.#parts.claims) for (const queue of Object.values(this.#queues)) queue.length = 0
  }

  /** As `forget`, but others may take it at once. */
  giveBack(): void {
    const { claims, database } = this.#parts
    const mails = Object.values(this.#queues).flat()
    // Claims that may have ended may be another one's by now.
    if (claims && !this.#isTooLate) withDatabase(database, () => claims.release(mails))
    this.forget()
  }

  get #isTooLate(): boolean {
    return this.#parts.clock.now() > this.#claimedUntil
  }

  #lookUp(urgency: Urgency, now: number): readonly WaitingMail[] {
    const { outbox, settings } = this.#parts
    const { busy, onMoreIn } = this.#notices
    const due = outbox.due(urgency, now, busy.size + lookAhead)
    const later = outbox.nextAttemptAfter(now)
    // The wall clock may jump, so no timer trusts it for long.
    if (later !== null) onMoreIn(Math.min(settings.sweepMs, later - now))
    return due.filter(({ order }) => !busy.has(order)).slice(0, lookAhead)
  }

  /** Few, so that claims are soon followed by the sending, and enough for each claim to be worth its round trip. */
  #claim(claims: MailLeases, urgency: Urgency, now: number): readonly WaitingMail[] {
    const { settings, budget, clock } = this.#parts
    // The sending may take the other half.
    const claimedUntil = clock.now() + settings.mailClaimMs / 2
    if (Object.values(this.#queues).every((queue) => queue.length === 0)) this.#claimedUntil = claimedUntil
    // What others leave, by failing or by being killed, nobody tells of.
    this.#notices.onMoreIn(settings.retryFirstMs)
    return claims.leaseMails(urgency, {
      now,
      until: now + settings.mailClaimMs,
      limit: this.#sender.concurrency,
      most: (underWay) => budget.left(urgency, now) - underWay,
    })
  }
}
