// Tells whoever was offered in a reply who asked, so that both punch at once (C2). Askers are gathered for a
// moment, so that a busy room costs its members few letters.

import { Problem } from '../../base/problem.ts'
import { limits } from '../../letter/limits.ts'
import { isDatabaseFailure } from '../../store/host-database.ts'
import type { DueIntroduction } from '../../store/pending-introductions.ts'
import { type HostParts, inTurn, internalProblem, withDatabase } from '../context.ts'
import { freezeLetter, letterHead } from './compose-letter.ts'
import { flagUnreachable } from './handle-letter.ts'
import { offerPeer } from './offer-peer.ts'

/** Made in one transaction, at most: its sync to disk costs more than an introduction. */
const groupIntroductions = 4
/** While the day's budget leaves none for introductions. By this time the asker has given up those it was offered. */
const worthlessAfterMs = 300_000
const noBudgetPaceMs = 60_000
/** While a backlog is worked off: replies matter more, but nobody waits for ever. */
const backlogPaceMs = 160

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
  #isMaking = false
  /** Somebody was noted while others were made known. */
  #isWoken = false
  #stopping = false

  constructor(parts: HostParts, notices: IntroducerNotices) {
    this.#parts = parts
    this.#notices = notices
  }

  /** Introductions may be owed: makes them when their time has come. */
  wake(): void {
    this.#isWoken = true
    if (this.#stopping || this.#cancelTimer || this.#isMaking) return
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
      void this.#takeTurn()
    })
  }

  /** A few at most: letters and mails under way have their turn in between. */
  async #takeTurn(): Promise<void> {
    const { settings, emit } = this.#parts
    let pauseMs: number | null = settings.retryFirstMs
    this.#isMaking = true
    this.#isWoken = false
    try {
      pauseMs = await this.#makeDue()
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown
      if (!this.#stopping) emit({ event: 'trouble', problem: thrown })
    } finally {
      this.#isMaking = false
    }
    if (pauseMs !== null) this.#comeBackIn(pauseMs)
    else if (this.#isWoken) this.wake()
  }

  /** How long until it is worth coming back; null when nobody is to be introduced. */
  async #makeDue(): Promise<number | null> {
    const { settings, introductions, outbox, clock, database, budget } = this.#parts
    const { introductionWindowMs, introductionHoldMs, retryFirstMs } = settings
    const isBacklog = this.#notices.isBacklog()
    const waitMs = isBacklog ? introductionHoldMs : introductionWindowMs
    const now = clock.wallNow()
    const oldest = withDatabase(database, () => introductions.oldestNotedAt())
    if (oldest === null) return null
    if (oldest > now - waitMs) return Math.min(introductionWindowMs, oldest + waitMs - now)
    if (withDatabase(database, () => budget.left('normal', now)) === 0) {
      withDatabase(database, () => introductions.forget(now - worthlessAfterMs))
      return noBudgetPaceMs
    }
    if (withDatabase(database, () => outbox.freeSlots('introduction')) === 0) return retryFirstMs
    await this.#makeGroup(now - waitMs)
    return isBacklog ? backlogPaceMs : 0
  }

  async #makeGroup(notedUntil: number): Promise<void> {
    const { introductions, outbox, database } = this.#parts
    const mails = await inTurn(database, () => {
      let frozen = 0
      for (let made = 0; made < groupIntroductions; made++) {
        const owed = introductions.next(notedUntil, limits.peers)
        if (owed === null || outbox.freeSlots('introduction') === 0) break
        if (this.#make(owed)) frozen++
      }
      return frozen
    })
    if (mails > 0) this.#notices.onCommit()
  }

  /** Whether there is a mail now. One introduction that our own code cannot make must not hold up all others. */
  #make(owed: DueIntroduction): boolean {
    const { introductions, database, emit } = this.#parts
    try {
      return database.transaction(() => this.#freeze(owed))
    } catch (thrown) {
      if (isDatabaseFailure(thrown)) throw thrown
      emit({ event: 'trouble', problem: internalProblem('An introduction', thrown) })
      introductions.settle(owed.room, owed.recipient, owed.requesters)
      return false
    }
  }

  #freeze({ room, recipient: user, requesters: users }: DueIntroduction): boolean {
    const { peers, outbox, introductions, unreachable, settings, clock } = this.#parts
    const now = clock.wallNow()
    introductions.settle(room, user, users)
    const recipient = peers.find(room, user, now)
    if (recipient === null || unreachable.has(recipient.returnAddress, now)) return false
    const askers = peers.findAll(room, users, now)
    if (askers.length === 0) return false
    const frozen = freezeLetter(
      this.#parts,
      {
        ...letterHead(this.#parts, recipient.user),
        kind: 'introduction',
        sessionId: recipient.session.id,
        peers: askers.map((asker) =>
          offerPeer(flagUnreachable(this.#parts, asker, now), recipient, settings.natPrefix, now),
        ),
      },
      { returnAddress: recipient.returnAddress, sessionKey: recipient.session.publicKey },
    )
    outbox.add(frozen, now)
    return true
  }
}
