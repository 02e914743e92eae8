// Sends the mails in the outbox: several at once, replies first, each again until the server takes it, and no more in a day
// than the budget allows.

import { waitAtMost } from '../../base/grace-time.ts'
import { messageOf } from '../../base/problem.ts'
import { deserializeMail } from '../../mail/mime/compose-mail.ts'
import type { MailSender, SendOutcome } from '../../mail/sender.ts'
import type { HostDatabase } from '../../store/host-database.ts'
import type { MailLeases } from '../../store/mail-leases.ts'
import type { Outbox, Urgency, WaitingMail } from '../../store/outbox.ts'
import type { BudgetState, SendBudget } from '../../store/send-budget.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostContext } from '../context.ts'
import { emitTrouble, withAsyncTransaction, withDatabase } from '../host-problems.ts'
import { SendBackoff } from './send-backoff.ts'
import { SendQueue } from './send-queue.ts'

/** Sent mails are removed from the outbox together, so that a mail costs less than one sync to disk. If the host is killed
 *  before that, it sends the mail again with the same bytes. */
const markAfterMs = 250
/** Other processes would send the mails again when the leases end. */
const markSharedAfterMs = 20
const maxMarked = 128

/** Sent or refused mails that are removed from the outbox together. */
type FinishedMails = {
  readonly mails: readonly WaitingMail[]
  /** How many of them count towards the budget. */
  readonly sent: number
}

type OutboxSenderOptions = {
  readonly database: HostDatabase
  readonly outbox: Outbox
  readonly budget: SendBudget
  readonly unreachable: UnreachableAddresses
  /** Null when no other process uses the same tables. */
  readonly leases: MailLeases | null
  readonly sender: MailSender
}

export class OutboxSender {
  readonly #context: HostContext
  readonly #options: OutboxSenderOptions
  /** Mails that are being sent, or finished and not yet removed. At most `concurrency` + `maxMarked`. */
  readonly #busy = new Set<number>()
  readonly #queue: SendQueue
  /** Sent or refused, not yet removed from the outbox. */
  #done: WaitingMail[] = []
  /** How many of them count towards the budget. */
  #sentUnmarked = 0
  #underWay = 0
  /** As the last event said. */
  #budgetState: BudgetState = 'ample'
  readonly #backoff: SendBackoff
  #cancelTimer: (() => void) | null = null
  /** When the timer fires, in monotonic ms. */
  #timerAt = 0
  #cancelMark: (() => void) | null = null
  #marking: Promise<void> | null = null
  #stopping = false
  #closed = false
  #onIdle: (() => void) | null = null

  constructor(context: HostContext, options: OutboxSenderOptions) {
    const { clock, emit } = context
    this.#context = context
    this.#options = options
    this.#backoff = new SendBackoff({
      clock,
      failures: Math.max(3, options.sender.concurrency),
      backoffMs: (rounds) => this.#backoffMs(rounds),
      onTrouble: (problem) => emit({ event: 'trouble', problem }),
    })
    this.#queue = new SendQueue(context, {
      ...options,
      busy: this.#busy,
      onMoreIn: (ms) => this.#pumpIn(ms),
    })
  }

  isBusyWith(order: number): boolean {
    return this.#busy.has(order)
  }

  /** Whether replies may wait to be sent; does not read the database. */
  get mayHoldReplies(): boolean {
    return this.#queue.mayHoldReplies
  }

  /** Sends what is due: there are new mails in the outbox, or it is time to try old ones again. */
  pump(urgencies: readonly Urgency[] = ['urgent', 'normal']): void {
    this.#queue.lookAgain(urgencies)
    this.#startMails()
  }

  #startMails(): void {
    if (!this.#stopping) this.#guarded(() => this.#startDue())
  }

  /** Waits up to `graceMs` for mails that are being sent. Afterwards this class does not use the database any more. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true
    this.#cancelTimer?.()
    this.#guarded(() => this.#queue.release())
    if (this.#underWay > 0) {
      const { promise: idle, resolve } = Promise.withResolvers<void>()
      this.#onIdle = resolve
      await waitAtMost(this.#context.clock, graceMs, idle)
    }
    await this.#marking
    this.#guarded(() => this.#mark())
    this.#closed = true
  }

  #startDue(): void {
    if (this.#backoff.leftMs > 0) {
      this.#pumpIn(this.#backoff.leftMs)
      return
    }
    this.#watchBudget()
    while (this.#underWay < this.#options.sender.concurrency) {
      const mail = this.#nextOf('urgent') ?? this.#nextOf('normal')
      if (mail === undefined) break
      this.#start(mail)
    }
  }

  #nextOf(urgency: Urgency): WaitingMail | undefined {
    // A lease is only given within the budget.
    if (!this.#options.leases && !this.#mayStart(urgency)) return undefined
    return this.#queue.next(urgency)
  }

  /** Counts mails that are being sent as sent. */
  #mayStart(urgency: Urgency): boolean {
    const { budget, database } = this.#options
    const now = this.#context.clock.wallNow()
    const left = withDatabase(database, () => budget.left(urgency, now))
    return left > this.#underWay + this.#sentUnmarked
  }

  #watchBudget(): void {
    const { clock, settings, emit } = this.#context
    const { budget, database } = this.#options
    const now = clock.wallNow()
    const state = withDatabase(database, () => budget.state(now))
    let moreInMs: number | null = null
    if (state !== 'ample') {
      const urgency = state === 'used-up' ? 'urgent' : 'normal'
      moreInMs = Math.max(1, withDatabase(database, () => budget.freeAt(urgency, now)) - now)
      // The wall clock may jump, so no timer trusts it for long.
      this.#pumpIn(Math.min(settings.retryMaxMs, moreInMs))
    }
    if (state === this.#budgetState) return
    this.#budgetState = state
    const sent = withDatabase(database, () => budget.sent(now))
    emit({ event: 'budget', state, sent, perDay: settings.perDay, moreInMs })
  }

  #start(mail: WaitingMail): void {
    const { database, outbox } = this.#options
    const raw = mail.raw ?? withDatabase(database, () => outbox.raw(mail))
    if (raw === null) return
    this.#busy.add(mail.order)
    this.#underWay++
    void this.#send(raw).then((outcome) => {
      this.#underWay--
      if (this.#closed) return
      this.#guarded(() => this.#settle(mail, outcome))
      this.#startMails()
      if (this.#underWay === 0) this.#onIdle?.()
    })
  }

  async #send(mail: Uint8Array): Promise<SendOutcome> {
    try {
      return await this.#options.sender.send(deserializeMail(mail))
    } catch (thrown) {
      return { outcome: 'later', reason: messageOf(thrown) }
    }
  }

  #settle(mail: WaitingMail, outcome: SendOutcome): void {
    const { emit, clock } = this.#context
    const { outbox, unreachable, database, leases } = this.#options
    if (outcome.outcome !== 'later') {
      this.#backoff.succeeded()
      if (outcome.outcome === 'sent') {
        this.#sentUnmarked++
        emit({ event: 'sent', kind: mail.kind })
      } else {
        emit({ event: 'unsent', kind: mail.kind, outcome: 'refused', reason: outcome.reason })
      }
      this.#done.push(mail)
      this.#markSoon()
      // The address takes no mail from us, as after a bounce.
      const now = clock.wallNow()
      if (outcome.outcome === 'refused' && outcome.about === 'recipient')
        withDatabase(database, () => unreachable.note(mail.recipient, now, now))
      return
    }
    emit({ event: 'unsent', kind: mail.kind, outcome: 'later', reason: outcome.reason })
    this.#backoff.failed(outcome.problem)
    const nextAttemptAt = clock.wallNow() + this.#backoffMs(mail.attempts)
    try {
      withDatabase(database, () =>
        database.inTransaction(() => {
          outbox.postpone(mail.order, nextAttemptAt)
          leases?.release([mail])
        }),
      )
    } finally {
      this.#busy.delete(mail.order)
      this.#pumpIn(nextAttemptAt - clock.wallNow())
    }
  }

  #backoffMs(attempts: number): number {
    const { retryFirstMs, retryMaxMs } = this.#context.settings
    return Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(attempts, 20))
  }

  #markSoon(): void {
    const { clock } = this.#context
    const { leases } = this.#options
    if (this.#done.length >= maxMarked) {
      this.#markDone()
    } else {
      this.#cancelMark ??= clock.after(leases ? markSharedAfterMs : markAfterMs, () => {
        this.#cancelMark = null
        if (!this.#closed) this.#markDone()
      })
    }
  }

  #markDone(): void {
    const { leases, budget } = this.#options
    if (leases && budget.isLimited) this.#marking ??= this.#markAsync()
    else this.#guarded(() => this.#mark())
  }

  /** Sending goes on while this waits for transactions of other processes. */
  async #markAsync(): Promise<void> {
    const finished = this.#finishedMails()
    try {
      const dropped = await withAsyncTransaction(this.#options.database, () => this.#drop(finished))
      this.#forget(finished, dropped)
      if (this.#done.length > 0) this.#markSoon()
    } catch (thrown) {
      this.#recover(thrown)
    } finally {
      this.#marking = null
    }
  }

  #mark(): void {
    const { database, leases, budget } = this.#options
    const finished = this.#finishedMails()
    if (finished.mails.length === 0) return
    const dropped = withDatabase(database, () =>
      leases && !budget.isLimited
        ? leases.removeFinished(finished.mails, finished.sent, this.#context.clock.wallNow())
        : database.transaction(() => this.#drop(finished)),
    )
    this.#forget(finished, dropped)
  }

  #finishedMails(): FinishedMails {
    this.#cancelMark?.()
    this.#cancelMark = null
    return { mails: [...this.#done], sent: this.#sentUnmarked }
  }

  #drop({ mails, sent }: FinishedMails): number {
    const { outbox, budget } = this.#options
    budget.count(sent, this.#context.clock.wallNow())
    return outbox.drop(mails)
  }

  #forget({ mails, sent }: FinishedMails, dropped: number): void {
    for (const { order } of mails) this.#busy.delete(order)
    this.#done = this.#done.slice(mails.length)
    this.#sentUnmarked -= sent
    this.#watchBudget()
    // A newer reply replaced one that was being sent.
    if (dropped < mails.length) this.pump(['urgent'])
  }

  /** A failure of the database pauses sending. What was sent meanwhile stays in `#done`. */
  #guarded(work: () => void): void {
    try {
      work()
    } catch (thrown) {
      this.#recover(thrown)
    }
  }

  #recover(thrown: unknown): void {
    emitTrouble(this.#context, thrown)
    this.#queue.forget()
    this.#backoff.pause(this.#backoffMs(0))
    this.#pumpIn(this.#backoffMs(0))
  }

  /** One timer for all: only the earliest time is kept. Later ones are set again when it fires. */
  #pumpIn(delayMs: number): void {
    if (this.#stopping) return
    const at = this.#context.clock.now() + Math.max(1, delayMs)
    if (this.#cancelTimer && this.#timerAt <= at) return
    this.#cancelTimer?.()
    this.#timerAt = at
    this.#cancelTimer = this.#context.clock.after(at - this.#context.clock.now(), () => {
      this.#cancelTimer = null
      if (this.#done.length > 0) this.#markDone()
      this.pump()
    })
  }
}
