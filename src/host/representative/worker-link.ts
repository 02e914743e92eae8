// A worker's letters to its representative host (A14): which forwards it took, so that they need not go to
// another worker, which it found after it was away, and that it is there.

import { concatBytes } from '../../base/bytes.ts'
import { Problem } from '../../base/problem.ts'
import type { InviteHost } from '../../letter/invite.ts'
import type { LetterId } from '../../letter/letter-types.ts'
import { limits } from '../../letter/limits.ts'
import type { MailboxState } from '../../mail/mailbox.ts'
import { type HostGround, withDatabase } from '../context.ts'
import { freezeLetter, letterHeadBetweenHosts } from '../requests/compose-letter.ts'
import { WorkerRecovery } from './worker-recovery.ts'

/** Letters of one commit are told of together. */
const gatherMs = 50

export class WorkerLink {
  readonly #parts: HostGround
  readonly #representative: InviteHost
  readonly #onMail: () => void
  /** To be told of; kept in memory, for it is found again after a kill. One letter's worth at most: a full one goes at
   *  once. */
  #taken: LetterId[] = []
  /** Left in the transaction that goes on. */
  #wanted: LetterId[] = []
  readonly #catchingUp = new WorkerRecovery()
  /** Monotonic ms. */
  #toldAt = -Infinity
  #cancelTimer: () => void = () => {}
  #isHurrying = false
  #isRunning = false

  /** `onMail`: there is a mail in the outbox. */
  constructor(parts: HostGround, representative: InviteHost, onMail: () => void) {
    this.#parts = parts
    this.#representative = representative
    this.#onMail = onMail
  }

  /** Tells at once that it is there, for it may have counted as dead, and what it took at last, for it may have been killed
   *  before it told. */
  start(): void {
    this.#isRunning = true
    this.#taken = [...this.#latestTaken()]
    this.#catchingUp.begin(this.#parts.clock.now())
    this.#tellIn(this.#parts.settings.takenAfterMs)
  }

  /** What was taken and not told yet is told first. */
  stop(): void {
    this.#cancelTimer()
    if (this.#isRunning && this.#taken.length > 0) this.#tell()
    this.#isRunning = false
  }

  noteMailbox({ state }: MailboxState): void {
    const { clock, settings } = this.#parts
    if (state === 'disconnected') this.#catchingUp.noteLost(clock.now())
    else this.#catchingUp.noteBack(clock.now(), settings.forwardSilenceMs / 2)
  }

  /** Whether to leave this forward to the representative. `emptiedAt`: see catching-up.ts. */
  asksFor(id: LetterId, emptiedAt: number | null): boolean {
    return this.#isRunning && this.#catchingUp.asksFor(id, emptiedAt)
  }

  /** It was left to the representative; inside the transaction. */
  noteWanted(id: LetterId): void {
    this.#wanted.push(id)
  }

  /** Inside the transaction after which they are gone from the mailbox: nobody else knows that they were left. */
  tellWanted(): void {
    const wanted = this.#wanted
    this.#wanted = []
    if (wanted.length > 0) this.#put([], wanted)
  }

  /** Its transaction is committed. */
  noteTaken(id: LetterId): void {
    if (!this.#isRunning) return
    this.#taken.push(id)
    if (this.#taken.length >= limits.forwardsTaken) this.#turn()
    else if (!this.#isHurrying) {
      this.#isHurrying = true
      const { clock, settings } = this.#parts
      this.#tellIn(Math.max(gatherMs, this.#toldAt + settings.takenAfterMs - clock.now()))
    }
  }

  #tellIn(delayMs: number): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#parts.clock.after(delayMs, () => this.#turn())
  }

  #turn(): void {
    this.#tell()
    this.#isHurrying = false
    this.#tellIn(this.#parts.settings.signOfLifeMs)
  }

  /** Into the outbox. When that is full or the disk fails, the representative sends again what it does not hear of. */
  #tell(): void {
    const { outbox, clock } = this.#parts
    const taken = this.#taken
    this.#taken = []
    this.#toldAt = clock.now()
    this.#guarded(() => {
      if (outbox.freeSlots('taken') > 0) this.#put(taken, [])
    })
    this.#onMail()
  }

  #put(taken: readonly LetterId[], wanted: readonly LetterId[]): void {
    const { outbox, clock } = this.#parts
    const { identity, address, sealingKey } = this.#representative
    const letter = {
      ...letterHeadBetweenHosts(this.#parts, identity),
      kind: 'taken',
      ids: concatBytes(...taken),
      ...(wanted.length > 0 && { wanted: concatBytes(...wanted) }),
    } as const
    const recipient = { returnAddress: address, sessionKey: sealingKey }
    outbox.add(freezeLetter(this.#parts, letter, recipient), clock.wallNow())
  }

  /** Of what the representative may not have heard of yet. */
  #latestTaken(): readonly LetterId[] {
    const { seen, settings, clock } = this.#parts
    const since = clock.wallNow() - 2 * settings.forwardSilenceMs
    return (
      this.#guarded(() => seen.latest(this.#representative.identity, since, limits.forwardsTaken - 1)) ?? []
    )
  }

  /** Null when the database did not let it; that is told. */
  #guarded<T>(work: () => T): T | null {
    const { database, emit } = this.#parts
    try {
      return withDatabase(database, work)
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown
      emit({ event: 'trouble', problem: thrown })
      return null
    }
  }
}
