// A worker's letters to its representative host (A14): which forwards it took, so that they need not go to
// another worker, which it found after it was away, and that it is there.

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
import { freezeLetter, letterHeadBetweenHosts } from '../requests/compose-letter.ts'
import { WorkerRecovery } from './worker-recovery.ts'

/** Letters of one commit are told of together. */
const gatherMs = 50

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
  /** To be told of; kept in memory, for it is found again after a kill. One letter's worth at most: a full one goes at
   *  once. */
  #taken: LetterId[] = []
  /** Left in the transaction that goes on. */
  #wanted: LetterId[] = []
  readonly #recovery = new WorkerRecovery()
  /** Monotonic ms. */
  #toldAt = -Infinity
  #cancelTimer: () => void = () => {}
  #isHurrying = false
  #isRunning = false

  constructor(context: HostContext, options: WorkerLinkOptions) {
    this.#context = context
    this.#options = options
  }

  /** Tells at once that it is there, for it may have counted as dead, and what it took at last, for it may have been killed
   *  before it told. */
  start(): void {
    this.#isRunning = true
    this.#taken = [...this.#latestTaken()]
    this.#recovery.begin(this.#context.clock.now())
    this.#tellIn(this.#context.settings.takenAfterMs)
  }

  /** What was taken and not told yet is told first. */
  stop(): void {
    this.#cancelTimer()
    if (this.#isRunning && this.#taken.length > 0) this.#tell()
    this.#isRunning = false
  }

  noteMailbox({ state }: MailboxState): void {
    const { clock, settings } = this.#context
    if (state === 'disconnected') this.#recovery.noteLost(clock.now())
    else this.#recovery.noteBack(clock.now(), settings.forwardSilenceMs / 2)
  }

  /** Whether to leave this forward to the representative, see worker-recovery.ts. */
  asksFor(id: LetterId): boolean {
    return this.#isRunning && this.#recovery.asksFor(id, this.#options.mailboxReader.scannedAt)
  }

  /** It was left to the representative; inside the transaction. */
  noteWanted(id: LetterId): void {
    this.#wanted.push(id)
  }

  /** Inside the transaction after which they are gone from the mailbox: nobody else knows that they were left. */
  tellWanted(): void {
    const wanted = this.#wanted
    this.#wanted = []
    if (wanted.length > 0) this.#enqueue([], wanted)
  }

  /** Its transaction is committed. */
  noteTaken(id: LetterId): void {
    if (!this.#isRunning) return
    this.#taken.push(id)
    if (this.#taken.length >= limits.forwardsTaken) this.#turn()
    else if (!this.#isHurrying) {
      this.#isHurrying = true
      const { clock, settings } = this.#context
      this.#tellIn(Math.max(gatherMs, this.#toldAt + settings.takenAfterMs - clock.now()))
    }
  }

  #tellIn(delayMs: number): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#context.clock.after(delayMs, () => this.#turn())
  }

  #turn(): void {
    this.#tell()
    this.#isHurrying = false
    this.#tellIn(this.#context.settings.signOfLifeMs)
  }

  /** Into the outbox. When that is full or the disk fails, the representative sends again what it does not hear of. */
  #tell(): void {
    const { database, outbox, outboxSender } = this.#options
    const taken = this.#taken
    this.#taken = []
    this.#toldAt = this.#context.clock.now()
    tryDatabase(this.#context, database, () => {
      if (outbox.freeSlots('taken') > 0) this.#enqueue(taken, [])
    })
    outboxSender.pump()
  }

  #enqueue(taken: readonly LetterId[], wanted: readonly LetterId[]): void {
    const { outbox, representative } = this.#options
    const { identity, address, sealingKey } = representative
    const letter = {
      ...letterHeadBetweenHosts(this.#context, identity),
      kind: 'taken',
      ids: concatBytes(...taken),
      ...(wanted.length > 0 && { wanted: concatBytes(...wanted) }),
    } as const
    const recipient = { returnAddress: address, sessionKey: sealingKey }
    outbox.add(freezeLetter(this.#context, letter, recipient), this.#context.clock.wallNow())
  }

  /** Of what the representative may not have heard of yet. */
  #latestTaken(): readonly LetterId[] {
    const { settings, clock } = this.#context
    const { database, seen, representative } = this.#options
    const since = clock.wallNow() - 2 * settings.forwardSilenceMs
    const latest = () => seen.latest(representative.identity, since, limits.forwardsTaken - 1)
    return tryDatabase(this.#context, database, latest) ?? []
  }
}
