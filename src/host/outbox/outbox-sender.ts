// Sends what is in the outbox: several at once, replies first, each again until it is gone, and in
// a day no more than the budget.

import { messageOf } from '../../base/problem.ts'
import { waitAtMost } from '../../base/wait.ts'
import { frozenMail } from '../../mail/mime/compose-mail.ts'
import type { MailSender, SendOutcome } from '../../mail/sender.ts'
import type { HostDatabase } from '../../store/host-database.ts'
import type { MailLeases } from '../../store/mail-leases.ts'
import type { Outbox, Urgency, WaitingMail } from '../../store/outbox.ts'
import type { BudgetState, SendBudget } from '../../store/send-budget.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostContext } from '../context.ts'
import { emitTrouble, withDatabase, withDatabaseTurn } from '../host-problems.ts'
import { SendBackoff } from './send-backoff.ts'
import { SendQueue } from './send-queue.ts'

/** Sent mails are marked together, so that a mail costs less than one sync to disk. A mail sent but not yet
 *  marked when the host is killed goes out again, with the same bytes. */
const markAfterMs = 250
/** Where others would send them again as soon as their leases end. */
const markSharedAfterMs = 20
const markAtMost = 128

/** Sent or refused, to be taken out of the outbox together. */
type FinishedMails = {
  readonly mails: readonly WaitingMail[]
  /** Of those, what counts towards the budget. */
  readonly sent: number
}

type OutboxSenderOptions = {
  readonly database: HostDatabase
  readonly outbox: Outbox
  readonly budget: SendBudget
  readonly unreachable: UnreachableAddresses
  /** Null where no other process uses the same tables. */
  readonly leases: MailLeases | null
  readonly sender: MailSender
}

export class OutboxSender {
  readonly #context: HostContext
  readonly #options: OutboxSenderOptions
  /** Under way, or sent and not yet marked: not to be tried again. At most `concurrency` + `markAtMost`. */
  readonly #busy = new Set<number>()
  readonly #queue: SendQueue
  #done: WaitingMail[] = []
  /** Of those, what counts towards the budget. */
  #sentUnmarked = 0
  #underWay = 0
  /** As it was told. */
  #budgetState: BudgetState = 'ample'
  readonly #backoff: SendBackoff
  #cancelTimer: (() => void) | null = null
  /** Monotonic ms; of the timer, while there is one. */
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
      onMoreIn: (ms) => this.#comeBackIn(ms),
    })
  }

  isBusyWith(order: number): boolean {
    return this.#busy.has(order)
  }

  /** Whether replies wait to be sent, as far as is known without looking. */
  get mayHoldReplies(): boolean {
    return this.#queue.mayHoldReplies
  }

  /** There are new mails in the outbox, or it is time to try old ones again. */
  pump(urgencies: readonly Urgency[] = ['urgent', 'normal']): void {
    this.#queue.lookAgain(urgencies)
    this.#go()
  }

  #go(): void {
    if (!this.#stopping) this.#guarded(() => this.#launch())
  }

  /** Lets mails under way end for up to `graceMs`; afterwards the database is not touched any more. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true
    this.#cancelTimer?.()
    this.#guarded(() => this.#queue.giveBack())
    if (this.#underWay > 0) {
      const { promise: idle, resolve } = Promise.withResolvers<void>()
      this.#onIdle = resolve
      await waitAtMost(this.#context.clock, graceMs, idle)
    }
    await this.#marking
    this.#guarded(() => this.#mark())
    this.#closed = true
  }

  #launch(): void {
    if (this.#backoff.leftMs > 0) {
      this.#comeBackIn(this.#backoff.leftMs)
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
    // What is claimed is within the budget already.
    if (!this.#options.leases && !this.#mayStart(urgency)) return undefined
    return this.#queue.next(urgency)
  }

  /** Whatever is under way may yet count. */
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
      this.#comeBackIn(Math.min(settings.retryMaxMs, moreInMs))
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
      this.#go()
      if (this.#underWay === 0) this.#onIdle?.()
    })
  }

  async #send(frozen: Uint8Array): Promise<SendOutcome> {
    try {
      return await this.#options.sender.send(frozenMail(frozen))
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
      // Refused at the door or sent back later: it is the same address that takes no mail of ours.
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
      this.#comeBackIn(nextAttemptAt - clock.wallNow())
    }
  }

  #backoffMs(attempts: number): number {
    const { retryFirstMs, retryMaxMs } = this.#context.settings
    return Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(attempts, 20))
  }

  #markSoon(): void {
    const { clock } = this.#context
    const { leases } = this.#options
    if (this.#done.length >= markAtMost) {
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
    if (leases && budget.isLimited) this.#marking ??= this.#markInTurn()
    else this.#guarded(() => this.#mark())
  }

  /** Mails go on while other processes' transactions are waited for. */
  async #markInTurn(): Promise<void> {
    const finished = this.#finishedMails()
    try {
      const dropped = await withDatabaseTurn(this.#options.database, () => this.#drop(finished))
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
    // A newer reply took the place of one that was under way.
    if (dropped < mails.length) this.pump(['urgent'])
  }

  /** A database that fails stops the sending for a while; what was sent stays noted here meanwhile. */
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
    this.#comeBackIn(this.#backoffMs(0))
  }

  /** One timer: the earliest wish counts, and what is later is asked for again then. */
  #comeBackIn(delayMs: number): void {
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
