// Tells whoever was offered in a reply who asked, so that both punch at once (C2). Askers are gathered for a
// moment, so that a busy room costs its members few letters.

import { Problem } from '../base/problem.ts'
import { limits } from '../letter/limits.ts'
import type { OwedIntroduction } from '../table/introduction-list.ts'
import { offerPeer } from '../table/selection.ts'
import { type HostParts, internalProblem, withDatabase } from './parts.ts'
import { freezeLetter, letterHead } from './writer.ts'

/** While a backlog is worked off: replies matter more, but nobody waits for ever. */
const backlogPaceMs = 40

export type IntroducerNotices = {
  /** Whether letters are being worked off, or replies wait to be sent: those go first, and more askers may be on
   *  their way. */
  readonly isBacklog: () => boolean
  /** A mail was put in the outbox. */
  readonly onCommit: () => void
}

export class Introducer {
  readonly #parts: HostParts
  readonly #notices: IntroducerNotices
  #cancelTimer: (() => void) | null = null
  #stopping = false

  constructor(parts: HostParts, notices: IntroducerNotices) {
    this.#parts = parts
    this.#notices = notices
  }

  /** Introductions may be owed: makes them when their time has come. */
  wake(): void {
    if (this.#stopping || this.#cancelTimer) return
    this.#comeBackIn(this.#parts.settings.introductionWindowMs)
  }

  stop(): void {
    this.#stopping = true
    this.#cancelTimer?.()
  }

  #comeBackIn(delayMs: number): void {
    if (this.#stopping) return
    this.#cancelTimer = this.#parts.clock.after(Math.max(1, delayMs), () => {
      this.#cancelTimer = null
      this.#makeOne()
    })
  }

  /** At most one: letters and mails under way have their turn in between. */
  #makeOne(): void {
    const { settings, emit } = this.#parts
    let pauseMs: number | null = settings.retryFirstMs
    try {
      pauseMs = this.#makeNext()
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown
      emit({ event: 'trouble', problem: thrown })
    }
    if (pauseMs !== null) this.#comeBackIn(pauseMs)
  }

  /** How long until it is worth coming back; null when nobody is to be introduced. */
  #makeNext(): number | null {
    const { settings, introductions, outbox, clock, database } = this.#parts
    const { introductionWindowMs, introductionHoldMs, retryFirstMs } = settings
    const isBacklog = this.#notices.isBacklog()
    const waitMs = isBacklog ? introductionHoldMs : introductionWindowMs
    const now = clock.wallNow()
    const { oldest, owed, room } = withDatabase(database, () => ({
      oldest: introductions.oldestNotedAt(),
      owed: introductions.next(now - waitMs, limits.peers),
      room: outbox.room('introduction'),
    }))
    if (oldest === null) return null
    if (owed === null) return Math.min(introductionWindowMs, oldest + waitMs - now)
    if (room === 0) return retryFirstMs
    this.#make(owed)
    return isBacklog ? backlogPaceMs : 0
  }

  #make(owed: OwedIntroduction): void {
    try {
      this.#freeze(owed)
    } catch (thrown) {
      this.#giveUp(owed, thrown)
    }
  }

  /** One introduction that our own code cannot make must not hold up all others. */
  #giveUp(owed: OwedIntroduction, thrown: unknown): void {
    if (thrown instanceof Problem && thrown.code === 'database') throw thrown
    const { introductions, database, emit } = this.#parts
    emit({ event: 'trouble', problem: internalProblem('An introduction', thrown) })
    withDatabase(database, () => introductions.settle(owed.room, owed.recipient, owed.askers))
  }

  #freeze(owed: OwedIntroduction): void {
    const { peers, outbox, introductions, settings, database, clock } = this.#parts
    const now = clock.wallNow()
    const { recipient, askers } = withDatabase(database, () => ({
      recipient: peers.find(owed.room, owed.recipient, now),
      askers: owed.askers.flatMap((asker) => peers.find(owed.room, asker, now) ?? []),
    }))
    const frozen =
      recipient === null || askers.length === 0
        ? null
        : freezeLetter(
            this.#parts,
            {
              ...letterHead(this.#parts, recipient.user),
              kind: 'introduction',
              sessionId: recipient.session.id,
              peers: askers.map((asker) => offerPeer(asker, recipient, settings.natPrefix, now)),
            },
            { returnAddress: recipient.returnAddress, sessionKey: recipient.session.publicKey },
          )
    withDatabase(database, () =>
      database.transaction(() => {
        introductions.settle(owed.room, owed.recipient, owed.askers)
        if (frozen) outbox.add(frozen, now)
      }),
    )
    if (frozen) this.#notices.onCommit()
  }
}
