// Sends what is in the outbox, beside the courier: several at once, replies first, each again until it is gone.

import { messageOf, Problem } from '../base/problem.ts'
import type { MailSender, SendOutcome } from '../mail/sender.ts'
import type { WaitingMail } from '../table/outbox.ts'
import { type HostParts, withDatabase } from './parts.ts'

/** Sent mails are marked together, so that a mail costs less than one sync to disk. A mail sent but not yet
 *  marked when the host is killed goes out again, with the same bytes. */
const markAfterMs = 20
const markAtMost = 32

export class Dispatcher {
  readonly #parts: HostParts
  readonly #sender: MailSender
  /** Under way, or sent and not yet marked: not to be tried again. At most `concurrency` + `markAtMost`. */
  readonly #busy = new Set<number>()
  #done: number[] = []
  #underWay = 0
  /** Failures since the last success: when all that is under way fails, the trouble is the server's. */
  #failuresInRow = 0
  /** Monotonic ms. */
  #pausedUntil = 0
  #cancelTimer: (() => void) | null = null
  #cancelMark: (() => void) | null = null
  #stopping = false
  #closed = false
  #onIdle: (() => void) | null = null

  constructor(parts: HostParts, sender: MailSender) {
    this.#parts = parts
    this.#sender = sender
  }

  isBusyWith(order: number): boolean {
    return this.#busy.has(order)
  }

  /** Sends whatever is due now, and comes back by itself for what is due later. */
  pump(): void {
    if (this.#stopping) return
    this.#cancelTimer?.()
    this.#cancelTimer = null
    this.#guarded(() => this.#launch())
  }

  /** Lets mails under way end for up to `graceMs`; afterwards the database is not touched any more. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true
    this.#cancelTimer?.()
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.#parts.clock.after(graceMs, resolve)
        this.#onIdle = () => {
          cancel()
          resolve()
        }
      })
    }
    this.#guarded(() => this.#mark())
    this.#closed = true
  }

  #launch(): void {
    const { clock, outbox } = this.#parts
    const pauseMs = this.#pausedUntil - clock.now()
    if (pauseMs > 0) {
      this.#comeBackIn(pauseMs)
      return
    }
    const free = this.#sender.concurrency - this.#underWay
    if (free > 0 && this.#busy.size < this.#sender.concurrency + markAtMost) {
      const due = withDatabase(this.#parts.database, () =>
        outbox.due(clock.wallNow(), this.#busy.size + free),
      )
      for (const mail of due.filter(({ order }) => !this.#busy.has(order)).slice(0, free)) this.#start(mail)
    }
    const next = outbox.nextAttemptAfter(clock.wallNow())
    if (next !== null) this.#comeBackIn(next - clock.wallNow())
  }

  #start(mail: WaitingMail): void {
    const raw = withDatabase(this.#parts.database, () => this.#parts.outbox.raw(mail.order))
    if (raw === null) return
    this.#busy.add(mail.order)
    this.#underWay++
    const outgoing = { from: this.#parts.self.address, to: [mail.recipient], raw }
    const sending = this.#sender
      .send(outgoing)
      .catch((thrown: unknown): SendOutcome => ({ outcome: 'later', reason: messageOf(thrown) }))
    void sending.then((outcome) => {
      this.#underWay--
      if (this.#closed) return
      this.#guarded(() => this.#settle(mail, outcome))
      this.pump()
      if (this.#underWay === 0) this.#onIdle?.()
    })
  }

  #settle(mail: WaitingMail, outcome: SendOutcome): void {
    const { emit, clock, outbox, database } = this.#parts
    if (outcome.outcome !== 'later') {
      if (outcome.outcome === 'sent') {
        this.#failuresInRow = 0
        emit({ event: 'sent', kind: mail.kind })
      } else {
        emit({ event: 'unsent', kind: mail.kind, outcome: 'refused', reason: outcome.reason })
      }
      this.#done.push(mail.order)
      this.#markSoon()
      return
    }
    emit({ event: 'unsent', kind: mail.kind, outcome: 'later', reason: outcome.reason })
    this.#failuresInRow++
    if (this.#failuresInRow >= Math.max(3, this.#sender.concurrency)) {
      const rounds = Math.floor(this.#failuresInRow / Math.max(3, this.#sender.concurrency))
      this.#pausedUntil = clock.now() + this.#backoffMs(rounds - 1)
    }
    const nextAttemptAt = clock.wallNow() + this.#backoffMs(mail.attempts)
    try {
      withDatabase(database, () => outbox.postpone(mail.order, nextAttemptAt))
    } finally {
      this.#busy.delete(mail.order)
    }
  }

  #backoffMs(attempts: number): number {
    const { retryFirstMs, retryMaxMs } = this.#parts.settings
    return Math.min(retryMaxMs, retryFirstMs * 2 ** Math.min(attempts, 20))
  }

  #markSoon(): void {
    if (this.#done.length >= markAtMost || this.#underWay === 0) {
      this.#mark()
    } else {
      this.#cancelMark ??= this.#parts.clock.after(markAfterMs, () => {
        this.#cancelMark = null
        if (!this.#closed) this.#guarded(() => this.#mark())
      })
    }
  }

  #mark(): void {
    this.#cancelMark?.()
    this.#cancelMark = null
    withDatabase(this.#parts.database, () => this.#parts.outbox.drop(this.#done))
    for (const order of this.#done) this.#busy.delete(order)
    this.#done = []
  }

  /** A database that fails stops the sending for a while; what was sent stays noted here meanwhile. */
  #guarded(work: () => void): void {
    try {
      work()
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown
      this.#parts.emit({ event: 'trouble', problem: thrown })
      this.#pausedUntil = this.#parts.clock.now() + this.#backoffMs(0)
      if (!this.#stopping) this.#comeBackIn(this.#backoffMs(0))
    }
  }

  #comeBackIn(delayMs: number): void {
    this.#cancelTimer?.()
    this.#cancelTimer = this.#parts.clock.after(Math.max(1, delayMs), () => {
      this.#cancelTimer = null
      if (this.#done.length > 0) this.#guarded(() => this.#mark())
      this.pump()
    })
  }
}
