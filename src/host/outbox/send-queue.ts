// The mails to be sent next. They are read from the outbox a few at a time, so that not every mail costs a query. When several
// processes send from one outbox, each leases the mails that it reads, and releases those that it does not start.

import type { MailSender } from '../../mail/sender.ts'
import type { HostDatabase } from '../../store/host-database.ts'
import type { MailLeases } from '../../store/mail-leases.ts'
import type { Outbox, Urgency, WaitingMail } from '../../store/outbox.ts'
import type { SendBudget } from '../../store/send-budget.ts'
import type { HostContext } from '../context.ts'
import { withDatabase } from '../host-problems.ts'

/** How many mails are read at a time without leases. */
const lookAhead = 32

export type SendQueueOptions = {
  readonly database: HostDatabase
  readonly outbox: Outbox
  readonly budget: SendBudget
  /** Null when no other process uses the same tables. */
  readonly leases: MailLeases | null
  readonly sender: Pick<MailSender, 'concurrency'>
  /** Mails that are being sent, or finished and not yet removed from the outbox. */
  readonly busy: ReadonlySet<number>
  /** More mails may be due after this time. */
  readonly onMoreIn: (delayMs: number) => void
}

export class SendQueue {
  readonly #context: Pick<HostContext, 'clock' | 'settings'>
  readonly #options: SendQueueOptions
  /** At most `lookAhead` of each urgency; with leases, at most as many as are sent at a time. */
  readonly #queues: Readonly<Record<Urgency, WaitingMail[]>> = { urgent: [], normal: [] }
  /** Whether the outbox may hold due mails that are not in the queue. */
  readonly #mayHoldMore: Record<Urgency, boolean> = { urgent: true, normal: true }
  /** Monotonic ms. Later no mail in the queues may be started, as its lease might end before it is sent. */
  #leasedUntil = Number.POSITIVE_INFINITY

  constructor(context: Pick<HostContext, 'clock' | 'settings'>, options: SendQueueOptions) {
    this.#context = context
    this.#options = options
  }

  /** Whether replies may wait to be sent; does not read the database. */
  get mayHoldReplies(): boolean {
    return this.#queues.urgent.length > 0 || this.#mayHoldMore.urgent
  }

  /** There are new mails in the outbox, or it is time to try old ones again. */
  lookAgain(urgencies: readonly Urgency[]): void {
    for (const urgency of urgencies) this.#mayHoldMore[urgency] = true
  }

  /** Takes the next mail that is due. Throws a Problem 'database'. */
  next(urgency: Urgency): WaitingMail | undefined {
    const queue = this.#queues[urgency]
    if (this.#isTooLate) this.forget()
    if (queue.length === 0 && this.#mayHoldMore[urgency]) {
      const now = this.#context.clock.wallNow()
      const { leases, database } = this.#options
      queue.push(
        ...withDatabase(database, () =>
          leases ? this.#lease(leases, urgency, now) : this.#lookUp(urgency, now),
        ),
      )
      this.#mayHoldMore[urgency] = queue.length > 0
    }
    return queue.shift()
  }

  /** Drops leased mails from the queues. They are due again when their leases end. */
  forget(): void {
    if (this.#options.leases) for (const queue of Object.values(this.#queues)) queue.length = 0
  }

  /** Like `forget`, but other processes may lease the mails at once. */
  release(): void {
    const { leases, database } = this.#options
    const mails = Object.values(this.#queues).flat()
    // A lease that has ended may belong to another process by now.
    if (leases && !this.#isTooLate) withDatabase(database, () => leases.release(mails))
    this.forget()
  }

  get #isTooLate(): boolean {
    return this.#context.clock.now() > this.#leasedUntil
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

  /** Leases only as many as are sent at a time, so that each is sent soon after. */
  #lease(leases: MailLeases, urgency: Urgency, now: number): readonly WaitingMail[] {
    const { settings, clock } = this.#context
    const { budget, sender, onMoreIn } = this.#options
    // The other half of the lease is for sending.
    const leasedUntil = clock.now() + settings.mailLeaseMs / 2
    if (Object.values(this.#queues).every((queue) => queue.length === 0)) this.#leasedUntil = leasedUntil
    // No event says when another process fails or is killed and its leases end.
    onMoreIn(settings.retryFirstMs)
    return leases.leaseMails(urgency, {
      now,
      until: now + settings.mailLeaseMs,
      limit: sender.concurrency,
      most: (underWay) => budget.left(urgency, now) - underWay,
    })
  }
}
