// A worker's reports to its representative (A14): which forwarded letters it took, so that no other worker gets them; which
// ones it found after an absence and wants to have sent again; and that it is alive.

import { concatBytes } from '../../base/bytes.ts'
import type { InviteHost } from '../../letter/invite.ts'
import type { LetterId } from '../../letter/letter-types.ts'
import { limits } from '../../letter/limits.ts'
import type { MailboxState } from '../../mail/mailbox.ts'
import type { HostDatabase } from '../../store/host-database.ts'
import type { Outbox } from '../../store/outbox.ts'
import type { SeenLetters } from '../../store/seen-letters.ts'
import type { HostContext } from '../context.ts'
import { tryDatabase } from '../host-problems.ts'
import type { MailboxReader } from '../inbox/mailbox-reader.ts'
import type { OutboxSender } from '../outbox/outbox-sender.ts'
import { composeLetter, peerHostLetterHead } from '../requests/compose-letter.ts'
import { WorkerRecovery } from './worker-recovery.ts'

/** Letters of one transaction go into one report. */
const collectMs = 50

type WorkerLinkOptions = {
  readonly representative: InviteHost
  readonly database: HostDatabase
  readonly seen: SeenLetters
  readonly outbox: Outbox
  readonly mailboxReader: MailboxReader
  readonly outboxSender: OutboxSender
}

export class WorkerLink {
  readonly #context: HostContext
  readonly #options: WorkerLinkOptions
  /** Taken and not reported yet. In memory only, as it is read from the database after a kill. At most one report's worth: a
   *  full report is sent at once. */
  #taken: LetterId[] = []
  /** Letters that the current transaction leaves to the representative. */
  #wanted: LetterId[] = []
  readonly #recovery = new WorkerRecovery()
  /** When the last report was enqueued, in monotonic ms. */
  #reportedAt = -Infinity
  #cancelTimer: () => void = () => {}
  /** A report of taken letters is scheduled, sooner than the next sign of life. */
  #isReportDue = false
  #isRunning = false

  constructor(context: HostContext, options: WorkerLinkOptions) {
    this.#context = context
    this.#options = options
  }

  /** Reports soon after the start, because the representative may count this worker as dead. Reports the latest letters again,
   *  because the last process may have been killed before its report. */
  start(): void {
    this.#isRunning = true
    this.#taken = [...this.#latestTaken()]
    this.#recovery.begin(this.#context.clock.now())
    this.#reportIn(this.#context.settings.takenAfterMs)
  }

  /** Sends the last report. */
  stop(): void {
    this.#cancelTimer()
    if (this.#isRunning && this.#taken.length > 0) this.#enqueueReport()
    this.#isRunning = false
  }

  noteMailbox({ state }: MailboxState): void {
    const { clock, settings } = this.#context
    if (state === 'disconnected') this.#recovery.noteLost(clock.now())
    else this.#recovery.noteBack(clock.now(), settings.forwardSilenceMs / 2)
  }

  /** Whether to ask the representative for this letter instead of taking it, see worker-recovery.ts. */
  shouldRequest(id: LetterId): boolean {
    return this.#isRunning && this.#recovery.shouldRequest(id, this.#options.mailboxReader.scannedAt)
  }

  /** This letter is left to the representative. Call it inside the letter's transaction. */
  noteWanted(id: LetterId): void {
    this.#wanted.push(id)
  }

  /** Asks for the letters that this transaction left. They are removed from the mailbox after it, so the report must be in
   *  the same transaction. */
  enqueueWanted(): void {
    const wanted = this.#wanted
    this.#wanted = []
    if (wanted.length > 0) this.#enqueue([], wanted)
  }

  /** This letter was taken, and its transaction is committed. */
  noteTaken(id: LetterId): void {
    if (!this.#isRunning) return
    this.#taken.push(id)
    if (this.#taken.length >= limits.forwardsTaken) this.#report()
    else if (!this.#isReportDue) {
      this.#isReportDue = true
      const { clock, settings } = this.#context
      this.#reportIn(Math.max(collectMs, this.#reportedAt + settings.takenAfterMs - clock.now()))
    }
  }

  #reportIn(delayMs: number): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#context.clock.after(delayMs, () => this.#report())
  }

  #report(): void {
    this.#enqueueReport()
    this.#isReportDue = false
    this.#reportIn(this.#context.settings.signOfLifeMs)
  }

  /** When the outbox is full or the database fails, no report is sent. The representative then sends the letters again. */
  #enqueueReport(): void {
    const { database, outbox, outboxSender } = this.#options
    const taken = this.#taken
    this.#taken = []
    this.#reportedAt = this.#context.clock.now()
    tryDatabase(this.#context, database, () => {
      if (outbox.freeSlots('taken') > 0) this.#enqueue(taken, [])
    })
    outboxSender.pump()
  }

  #enqueue(taken: readonly LetterId[], wanted: readonly LetterId[]): void {
    const { outbox, representative } = this.#options
    const { identity, address, sealingKey } = representative
    const letter = {
      ...peerHostLetterHead(this.#context, identity),
      kind: 'taken',
      ids: concatBytes(...taken),
      ...(wanted.length > 0 && { wanted: concatBytes(...wanted) }),
    } as const
    const recipient = { returnAddress: address, sessionKey: sealingKey }
    outbox.add(composeLetter(this.#context, letter, recipient), this.#context.clock.wallNow())
  }

  /** Letters whose report the representative may not have got. */
  #latestTaken(): readonly LetterId[] {
    const { settings, clock } = this.#context
    const { database, seen, representative } = this.#options
    const since = clock.wallNow() - 2 * settings.forwardSilenceMs
    const latest = () => seen.latest(representative.identity, since, limits.forwardsTaken - 1)
    return tryDatabase(this.#context, database, latest) ?? []
  }
}
