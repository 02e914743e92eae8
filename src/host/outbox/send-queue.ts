// The mails of the outbox that are to be sent next: looked up a few at a time, so that not every one costs a query. Where
// several processes send from one outbox, each claims what it looks up, and gives back what it does not begin.

import type { MailSender } from '../../mail/sender.ts'
import type { HostDatabase } from '../../store/host-database.ts'
import type { MailLeases } from '../../store/mail-leases.ts'
import type { Outbox, Urgency, WaitingMail } from '../../store/outbox.ts'
import type { SendBudget } from '../../store/send-budget.ts'
import type { HostContext } from '../context.ts'
import { withDatabase } from '../host-problems.ts'

/** Looked up at a time, where nothing is claimed. */
const lookAhead = 32

export type SendQueueOptions = {
  readonly database: HostDatabase
  readonly outbox: Outbox
  readonly budget: SendBudget
  /** Null where no other process uses the same tables. */
  readonly leases: MailLeases | null
  readonly sender: Pick<MailSender, 'concurrency'>
  /** Under way, or sent and not yet out of the outbox: not to be tried again. */
  readonly busy: ReadonlySet<number>
  /** In so many ms there may be more that are due. */
  readonly onMoreIn: (delayMs: number) => void
}

export class SendQueue {
  readonly #context: Pick<HostContext, 'clock' | 'settings'>
  readonly #options: SendQueueOptions
  /** At most `lookAhead` of each urgency; where they are claimed, at most as many as are sent at a time. */
  readonly #queues: Readonly<Record<Urgency, WaitingMail[]>> = { urgent: [], normal: [] }
  /** Whether the outbox may hold due mails that are not in the queue. */
  readonly #mayHoldMore: Record<Urgency, boolean> = { urgent: true, normal: true }
  /** Monotonic ms; after it nothing that is in the queues may be begun, as its lease might end before it is sent. */
  #claimedUntil = Number.POSITIVE_INFINITY

  constructor(context: Pick<HostContext, 'clock' | 'settings'>, options: SendQueueOptions) {
    this.#context = context
    this.#options = options
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
      const now = this.#context.clock.wallNow()
      const { leases, database } = this.#options
      queue.push(
        ...withDatabase(database, () =>
          leases ? this.#claim(leases, urgency, now) : this.#lookUp(urgency, now),
        ),
      )
      this.#mayHoldMore[urgency] = queue.length > 0
    }
    return queue.shift()
  }

  /** Nothing of what is in hand will be begun. What was claimed comes again when its lease has ended. */
  forget(): void {
    if (this.#options.leases) for (const queue of Object.values(this.#queues)) queue.length = 0
  }

  /** As `forget`, but others may take it at once. */
  giveBack(): void {
    const { leases, database } = this.#options
    const mails = Object.values(this.#queues).flat()
    // Leases that may have ended may be another one's by now.
    if (leases && !this.#isTooLate) withDatabase(database, () => leases.release(mails))
    this.forget()
  }

  get #isTooLate(): boolean {
    return this.#context.clock.now() > this.#claimedUntil
  }

  #lookUp(urgency: Urgency, now: number): readonly WaitingMail[] {
    const { settings } = this.#context
    const { outbox, busy, onMoreIn } = this.#options
    const due = outbox.due(urgency, now, busy.size + lookAhead)
    const later = outbox.nextAttemptAfter(now)
    // The wall clock may jump, so no timer trusts it for long.
    if (later !== null) onMoreIn(Math.min(settings.sweepMs, later - now))
    return due.filter(({ order }) => !busy.has(order)).slice(0, lookAhead)
  }

  /** Few, so that leases are soon followed by the sending, and enough for each lease to be worth its round trip. */
  #claim(leases: MailLeases, urgency: Urgency, now: number): readonly WaitingMail[] {
    const { settings, clock } = this.#context
    const { budget, sender, onMoreIn } = this.#options
    // The sending may take the other half.
    const claimedUntil = clock.now() + settings.mailClaimMs / 2
    if (Object.values(this.#queues).every((queue) => queue.length === 0)) this.#claimedUntil = claimedUntil
    // What others leave, by failing or by being killed, nobody tells of.
    onMoreIn(settings.retryFirstMs)
    return leases.leaseMails(urgency, {
      now,
      until: now + settings.mailClaimMs,
      limit: sender.concurrency,
      most: (underWay) => budget.left(urgency, now) - underWay,
    })
  }
}
