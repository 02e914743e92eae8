// A worker's letters to its representative host (mission A14): which forwards it took, so that they need not go to
// another worker, which it found after it was away, and that it is there.

import { concatBytes } from '../../base/bytes.ts'
import { Problem } from '../../base/problem.ts'
import type { InviteHost } from '../../letter/invite.ts'
import type { LetterId } from '../../letter/letter-types.ts'
import { limits } from '../../letter/limits.ts'
import type { MailboxState } from '../../mail/mailbox.ts'
import { type HostGround, withDatabase } from '../context.ts'
import { freezeLetter, letterHeadBetweenHosts } from '../requests/compose-letter.ts'
import { CatchingUp } from './worker-recovery.ts'

/** Letters of one commit are told of together. */
const gatherMs = 50

export class Deputy {
  readonly #parts: HostGround
  readonly #representative: InviteHost
  readonly #onMail: () => void
  /** To be told of; kept in memory, for what is not told comes again and is known then. One letter's worth at most: a full
   *  one goes at once. */
  #taken: LetterId[] = []
  /** Likewise. */
  #wanted: LetterId[] = []
  readonly #catchingUp = new CatchingUp()
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

  /** Tells at once that it is there: it may have counted as dead. */
  start(): void {
    this.#isRunning = true
    this.#catchingUp.begin(this.#parts.clock.now())
    this.#tellIn(this.#parts.settings.takenAfterMs)
  }

  /** What was taken and not told yet is told first. */
  stop(): void {
    this.#cancelTimer()
    if (this.#isRunning && this.#taken.length + this.#wanted.length > 0) this.#tell()
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

  /** Its transaction is committed. */
  noteTaken(id: LetterId): void {
    this.#note(this.#taken, id)
  }

  /** It was left to the representative. */
  noteWanted(id: LetterId): void {
    this.#note(this.#wanted, id)
  }

  #note(ids: LetterId[], id: LetterId): void {
    if (!this.#isRunning) return
    ids.push(id)
    const isFull = this.#taken.length >= limits.forwardsTaken || this.#wanted.length >= limits.forwardsWanted
    if (isFull) this.#turn()
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
    const { database, outbox, clock, emit } = this.#parts
    const { identity, address, sealingKey } = this.#representative
    const ids = concatBytes(...this.#taken)
    const wanted = concatBytes(...this.#wanted)
    this.#taken = []
    this.#wanted = []
    this.#toldAt = clock.now()
    try {
      withDatabase(database, () => {
        if (outbox.room('taken') === 0) return
        const letter = {
          ...letterHeadBetweenHosts(this.#parts, identity),
          kind: 'taken',
          ids,
          ...(wanted.length > 0 && { wanted }),
        } as const
        const recipient = { returnAddress: address, sessionKey: sealingKey }
        outbox.add(freezeLetter(this.#parts, letter, recipient), clock.wallNow())
      })
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown
      emit({ event: 'trouble', problem: thrown })
    }
    this.#onMail()
  }
}
