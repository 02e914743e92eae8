// Sends what is in the outbox, beside the courier: several at once, replies first, each again until it is gone, and in
// a day no more than the budget.

import { messageOf, Problem } from '../../base/problem.ts'
import { deserializeMail } from '../../mail/mime/compose-mail.ts'
import type { MailSender, SendOutcome } from '../../mail/sender.ts'
import type { Urgency, WaitingMail } from '../../store/outbox.ts'
import type { BudgetState } from '../../store/send-budget.ts'
import { type HostParts, inTurn, withDatabase } from '../context.ts'
import { SendBackoff } from './send-backoff.ts'
import { SendQueue } from './send-queue.ts'

/** Sent mails are marked together, so that a mail costs less than one sync to disk. A mail sent but not yet
 *  marked when the host is killed goes out again, with the same bytes. */
const markAfterMs = 250
/** Where others would send them again as soon as their claims end. */
const markSharedAfterMs = 20
const markAtMost = 128

/** Sent or refused, to be taken out of the outbox together. */
type Lot = {
  readonly mails: readonly WaitingMail[]
  /** Of those, what counts towards the budget. */
  readonly sent: number
}

export class OutboxSender {
  readonly #parts: HostParts
  readonly #sender: MailSender
  /** Under way, or sent and not yet marked: not to be tried again. At most `concurrency` + `markAtMost`. */
  readonly #busy = new Set<number>()
  readonly #due: SendQueue
  #done: WaitingMail[] = []
  /** Of those, what counts towards the budget. */
  #sentUnmarked = 0
  #underWay = 0
  /** As it was told. */
  #budgetState: BudgetState = 'ample'
  readonly #pause: SendBackoff
  #cancelTimer: (() => void) | null = null
  /** Monotonic ms; of the timer, while there is one. */
  #timerAt = 0
  #cancelMark: (() => void) | null = null
  #marking: Promise<void> | null = null
  #stopping = false
  #closed = false
  #onIdle: (() => void) | null = null

  constructor(parts: HostParts, sender: MailSender) {
    this.#parts = parts
    this.#sender = sender
    this.#pause = new SendBackoff({
      clock: parts.clock,
      failures: Math.max(3, sender.concurrency),
      backoffMs: (rounds) => this.#backoffMs(rounds),
      onTrouble: (problem) => parts.emit({ event: 'trouble', problem }),
    })
    this.#due = new SendQueue(parts, sender, { busy: this.#busy, onMoreIn: (ms) => this.#comeBackIn(ms) })
  }

  isBusyWith(order: number): boolean {
    return this.#busy.has(order)
  }

  /** Whether replies wait to be sent, as far as is known without looking. */
  get mayHoldReplies(): boolean {
    return this.#due.mayHoldReplies
  }

  /** There are new mails in the outbox, or it is time to try old ones again. */
  pump(urgencies: readonly Urgency[] = ['urgent', 'normal']): void {
    this.#due.lookAgain(urgencies)
    this.#go()
  }

  #go(): void {
    if (!this.#stopping) this.#guarded(() => this.#launch())
  }

  /** Lets mails under way end for up to `graceMs`; afterwards the database is not touched any more. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true
    this.#cancelTimer?.()
    this.#guarded(() => this.#due.giveBack())
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.#parts.clock.after(graceMs, resolve)
        this.#onIdle = () => {
          cancel()
          resolve()
        }
      })
    }
    await this.#marking
    this.#guarded(() => this.#mark())
    this.#closed = true
  }

  #launch(): void {
    if (this.#pause.leftMs > 0) {
      this.#comeBackIn(this.#pause.leftMs)
      return
    }
    this.#watchBudget()
    while (this.#underWay < this.#sender.concurrency) {
      const mail = this.#nextOf('urgent') ?? this.#nextOf('normal')
      if (mail === undefined) break
      this.#start(mail)
    }
  }

  #nextOf(urgency: Urgency): WaitingMail | undefined {
    // What is claimed is within the budget already.
    if (!this.#parts.claims && !this.#mayStart(urgency)) return undefined
    return this.#due.next(urgency)
  }

  /** Whatever is under way may yet count. */
  #mayStart(urgency: Urgency): boolean {
    const { budget, clock, database } = this.#parts
    const left = withDatabase(database, () => budget.left(urgency, clock.wallNow()))
    return left > this.#underWay + this.#sentUnmarked
  }

  #watchBudget(): void {
    const { budget, clock, database, settings, emit } = this.#parts
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
    const raw = mail.raw ?? withDatabase(this.#parts.database, () => this.#parts.outbox.raw(mail))
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
      return await this.#sender.send(deserializeMail(frozen))
    } catch (thrown) {
      return { outcome: 'later', reason: messageOf(thrown) }
    }
  }

  #settle(mail: WaitingMail, outcome: SendOutcome): void {
    const { emit, clock, outbox, unreachable, database, claims } = this.#parts
    if (outcome.outcome !== 'later') {
      this.#pause.succeeded()
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
    this.#pause.failed(outcome.problem)
    const nextAttemptAt = clock.wallNow() + this.#backoffMs(mail.attempts)
    try {
      withDatabase(database, () =>
        database.inTransaction(() => {
          outbox.postpone(mail.order, nextAttemptAt)
          claims?.release([mail])
        }),
      )
    } finally {
      this.#busy.delete(mail.order)
      this.#comeBackIn(nextAttemptAt - clock.wallNow())
    }
  }

  #backoffMs(attempts: number): number {
    const { retryFirstMs, retryMaxMs } = this.#parts.settings
    return Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(attempts, 20))
  }

  #markSoon(): void {
    const { clock, claims } = this.#parts
    if (this.#done.length >= markAtMost) {
      this.#markDone()
    } else {
      this.#cancelMark ??= clock.after(claims ? markSharedAfterMs : markAfterMs, () => {
        this.#cancelMark = null
        if (!this.#closed) this.#markDone()
      })
    }
  }

  #markDone(): void {
    const { claims, budget } = this.#parts
    if (claims && budget.isLimited) this.#marking ??= this.#markInTurn()
    else this.#guarded(() => this.#mark())
  }

  /** Mails go on while other processes' transactions are waited for. */
  async #markInTurn(): Promise<void> {
    const lot = this.#lot()
    try {
      const dropped = await inTurn(this.#parts.database, () => this.#drop(lot))
      this.#forget(lot, dropped)
      if (this.#done.length > 0) this.#markSoon()
    } catch (thrown) {
      this.#recover(thrown)
    } finally {
      this.#marking = null
    }
  }

  #mark(): void {
    const { database, claims, budget, clock } = this.#parts
    const lot = this.#lot()
    if (lot.mails.length === 0) return
    const dropped = withDatabase(database, () =>
      claims && !budget.isLimited
        ? claims.removeFinished(lot.mails, lot.sent, clock.wallNow())
        : database.transaction(() => this.#drop(lot)),
    )
    this.#forget(lot, dropped)
  }

  #lot(): Lot {
    this.#cancelMark?.()
    this.#cancelMark = null
    return { mails: [...this.#done], sent: this.#sentUnmarked }
  }

  #drop({ mails, sent }: Lot): number {
    const { outbox, budget, clock } = this.#parts
    budget.count(sent, clock.wallNow())
    return outbox.drop(mails)
  }

  #forget({ mails, sent }: Lot, dropped: number): void {
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
    if (!(thrown instanceof Problem)) throw thrown
    this.#due.forget()
    this.#parts.emit({ event: 'trouble', problem: thrown })
    this.#pause.pause(this.#backoffMs(0))
    this.#comeBackIn(this.#backoffMs(0))
  }

  /** One timer: the earliest wish counts, and what is later is asked for again then. */
  #comeBackIn(delayMs: number): void {
    if (this.#stopping) return
    const at = this.#parts.clock.now() + Math.max(1, delayMs)
    if (this.#cancelTimer && this.#timerAt <= at) return
    this.#cancelTimer?.()
    this.#timerAt = at
    this.#cancelTimer = this.#parts.clock.after(at - this.#parts.clock.now(), () => {
      this.#cancelTimer = null
      if (this.#done.length > 0) this.#markDone()
      this.pump()
    })
  }
}
