// Tells whoever was offered in a reply who asked, so that both punch at once (C2). Askers are gathered for a
// moment, so that a busy room costs its members few letters.

import { Problem } from '../../base/problem.ts'
import { limits } from '../../letter/limits.ts'
import { type HostDatabase, isDatabaseFailure } from '../../store/host-database.ts'
import type { Outbox } from '../../store/outbox.ts'
import type { PeerTable } from '../../store/peer-table.ts'
import type { DueIntroduction, PendingIntroductions } from '../../store/pending-introductions.ts'
import type { SendBudget } from '../../store/send-budget.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostContext } from '../context.ts'
import { emitTrouble, internalProblem, withDatabase, withDatabaseTurn } from '../host-problems.ts'
import type { MailboxReader } from '../inbox/mailbox-reader.ts'
import type { OutboxSender } from '../outbox/outbox-sender.ts'
import { freezeLetter, letterHead } from './compose-letter.ts'
import { flagUnreachable, offerPeer } from './offer-peer.ts'

/** Made in one transaction, at most: its sync to disk costs more than an introduction. */
const groupIntroductions = 4
/** While the day's budget leaves none for introductions. By this time the requester has given up those it was offered. */
const worthlessAfterMs = 300_000
const noBudgetPaceMs = 60_000
/** While a backlog is worked off: replies matter more, but nobody waits for ever. */
const backlogPaceMs = 160

type IntroducerOptions = {
  readonly database: HostDatabase
  readonly peers: PeerTable
  readonly outbox: Outbox
  readonly budget: SendBudget
  readonly introductions: PendingIntroductions
  readonly unreachable: UnreachableAddresses
  readonly mailboxReader: MailboxReader
  readonly outboxSender: OutboxSender
}

export class Introducer {
  readonly #context: HostContext
  readonly #options: IntroducerOptions
  #cancelTimer: (() => void) | null = null
  #isMaking = false
  /** Somebody was noted while others were made known. */
  #isWoken = false
  #stopping = false

  constructor(context: HostContext, options: IntroducerOptions) {
    this.#context = context
    this.#options = options
  }

  /** Introductions may be owed: makes them when their time has come. */
  wake(): void {
    this.#isWoken = true
    if (this.#stopping || this.#cancelTimer || this.#isMaking) return
    this.#comeBackIn(this.#context.settings.introductionWindowMs)
  }

  stop(): void {
    this.#stopping = true
    this.#cancelTimer?.()
  }

  #comeBackIn(delayMs: number): void {
    if (this.#stopping) return
    this.#cancelTimer = this.#context.clock.after(Math.max(1, delayMs), () => {
      this.#cancelTimer = null
      void this.#takeTurn()
    })
  }

  /** A few at most: letters and mails under way have their turn in between. */
  async #takeTurn(): Promise<void> {
    let pauseMs: number | null = this.#context.settings.retryFirstMs
    this.#isMaking = true
    this.#isWoken = false
    try {
      pauseMs = await this.#makeDue()
    } catch (thrown) {
      // While we stop the database may be closed.
      if (!(this.#stopping && thrown instanceof Problem)) emitTrouble(this.#context, thrown)
    } finally {
      this.#isMaking = false
    }
    if (pauseMs !== null) this.#comeBackIn(pauseMs)
    else if (this.#isWoken) this.wake()
  }

  /** How long until it is worth coming back; null when nobody is to be introduced. */
  async #makeDue(): Promise<number | null> {
    const { introductions, outbox, database, budget } = this.#options
    const { clock, settings } = this.#context
    const { introductionWindowMs, introductionHoldMs, retryFirstMs } = settings
    const isBacklog = this.#isBacklog
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

  /** Whether letters are being worked off, or replies wait to be sent: those go first, and more requesters may be on
   *  their way. */
  get #isBacklog(): boolean {
    const { mailboxReader, outboxSender } = this.#options
    return mailboxReader.isBusy || outboxSender.mayHoldReplies
  }

  async #makeGroup(notedUntil: number): Promise<void> {
    const { introductions, outbox, outboxSender, database } = this.#options
    const mails = await withDatabaseTurn(database, () => {
      let frozen = 0
      for (let made = 0; made < groupIntroductions; made++) {
        const owed = introductions.next(notedUntil, limits.peers)
        if (owed === null || outbox.freeSlots('introduction') === 0) break
        if (this.#make(owed)) frozen++
      }
      return frozen
    })
    if (mails > 0) outboxSender.pump(['normal'])
  }

  /** Whether there is a mail now. One introduction that our own code cannot make must not hold up all others. */
  #make(owed: DueIntroduction): boolean {
    const { introductions, database } = this.#options
    try {
      return database.transaction(() => this.#freeze(owed))
    } catch (thrown) {
      if (isDatabaseFailure(thrown)) throw thrown
      const problem = internalProblem('An introduction', thrown)
      this.#context.emit({ event: 'trouble', problem })
      introductions.settle(owed.room, owed.recipient, owed.requesters)
      return false
    }
  }

  #freeze({ room, recipient: user, requesters: users }: DueIntroduction): boolean {
    const { peers, outbox, introductions, unreachable } = this.#options
    const { settings, clock } = this.#context
    const now = clock.wallNow()
    introductions.settle(room, user, users)
    const recipient = peers.find(room, user, now)
    if (recipient === null || unreachable.has(recipient.returnAddress, now)) return false
    const requesters = peers.findAll(room, users, now)
    if (requesters.length === 0) return false
    const frozen = freezeLetter(
      this.#context,
      {
        ...letterHead(this.#context, recipient.user),
        kind: 'introduction',
        sessionId: recipient.session.id,
        peers: requesters.map((requester) =>
          offerPeer(flagUnreachable(requester, unreachable, now), recipient, settings.natPrefix, now),
        ),
      },
      { returnAddress: recipient.returnAddress, sessionKey: recipient.session.publicKey },
    )
    outbox.add(frozen, now)
    return true
  }
}
