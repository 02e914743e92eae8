// Introduces the requester to the peers that its reply offered, so that both punch at once (C2). The host collects requesters
// for a moment, so that members of a busy room get few letters.

import { Problem } from '../../base/problem.ts'
import { limits } from '../../letter/limits.ts'
import { type HostDatabase, isDatabaseFailure } from '../../store/host-database.ts'
import type { Outbox } from '../../store/outbox.ts'
import type { PeerTable } from '../../store/peer-table.ts'
import type { DueIntroduction, PendingIntroductions } from '../../store/pending-introductions.ts'
import type { SendBudget } from '../../store/send-budget.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostContext } from '../context.ts'
import { emitTrouble, internalProblem, withAsyncTransaction, withDatabase } from '../host-problems.ts'
import type { MailboxReader } from '../inbox/mailbox-reader.ts'
import type { OutboxSender } from '../outbox/outbox-sender.ts'
import { composeLetter, letterHead } from './compose-letter.ts'
import { flagUnreachable, offerPeer } from './offer-peer.ts'

/** The most introductions in one transaction. Its sync to disk costs more than an introduction. */
const maxIntroductionsInGroup = 4
/** While the day's budget has nothing left for introductions, older ones are dropped: by this time the requester has given up
 *  the peers of its reply. */
const worthlessAfterMs = 300_000
const noBudgetPaceMs = 60_000
/** The pause during a backlog. Replies come first, but introductions go on slowly. */
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
  #isRunning = false
  /** `wake` was called while introductions were made. */
  #isWoken = false
  #stopping = false

  constructor(context: HostContext, options: IntroducerOptions) {
    this.#context = context
    this.#options = options
  }

  /** Introductions may be due, now or soon. */
  wake(): void {
    this.#isWoken = true
    if (this.#stopping || this.#cancelTimer || this.#isRunning) return
    this.#runIn(this.#context.settings.introductionWindowMs)
  }

  stop(): void {
    this.#stopping = true
    this.#cancelTimer?.()
  }

  #runIn(delayMs: number): void {
    if (this.#stopping) return
    this.#cancelTimer = this.#context.clock.after(Math.max(1, delayMs), () => {
      this.#cancelTimer = null
      void this.#run()
    })
  }

  /** Makes a few introductions at a time, so that letters and mails are handled in between. */
  async #run(): Promise<void> {
    let pauseMs: number | null = this.#context.settings.retryFirstMs
    this.#isRunning = true
    this.#isWoken = false
    try {
      pauseMs = await this.#makeDue()
    } catch (thrown) {
      // The database may be closed while the host stops.
      if (!(this.#stopping && thrown instanceof Problem)) emitTrouble(this.#context, thrown)
    } finally {
      this.#isRunning = false
    }
    if (pauseMs !== null) this.#runIn(pauseMs)
    else if (this.#isWoken) this.wake()
  }

  /** Returns the ms until the next run; null when no introduction waits. */
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

  /** Letters or replies wait. They go first, and the letters may bring more requesters. */
  get #isBacklog(): boolean {
    const { mailboxReader, outboxSender } = this.#options
    return mailboxReader.isBusy || outboxSender.mayHoldReplies
  }

  async #makeGroup(notedUntil: number): Promise<void> {
    const { introductions, outbox, outboxSender, database } = this.#options
    const mails = await withAsyncTransaction(database, () => {
      let added = 0
      for (let made = 0; made < maxIntroductionsInGroup; made++) {
        const due = introductions.next(notedUntil, limits.peers)
        if (due === null || outbox.freeSlots('introduction') === 0) break
        if (this.#make(due)) added++
      }
      return added
    })
    if (mails > 0) outboxSender.pump(['normal'])
  }

  /** Whether a mail was added to the outbox. A fault of our code in one introduction must not block the others. */
  #make(due: DueIntroduction): boolean {
    const { introductions, database } = this.#options
    try {
      return database.transaction(() => this.#enqueue(due))
    } catch (thrown) {
      if (isDatabaseFailure(thrown)) throw thrown
      const problem = internalProblem('An introduction', thrown)
      this.#context.emit({ event: 'trouble', problem })
      introductions.settle(due.room, due.recipient, due.requesters)
      return false
    }
  }

  #enqueue({ room, recipient: user, requesters: users }: DueIntroduction): boolean {
    const { peers, outbox, introductions, unreachable } = this.#options
    const { settings, clock } = this.#context
    const now = clock.wallNow()
    introductions.settle(room, user, users)
    const recipient = peers.find(room, user, now)
    if (recipient === null || unreachable.has(recipient.returnAddress, now)) return false
    const requesters = peers.findAll(room, users, now)
    if (requesters.length === 0) return false
    const mail = composeLetter(
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
    outbox.add(mail, now)
    return true
  }
}
