// Handles the admitted request of an agent: stores its entry in the table, and replies with the most recent peers (A5), unless
// another host answers it.

import { equalBytes } from '../../base/bytes.ts'
import type { RequestLetter } from '../../letter/letter-types.ts'
import type { Outbox, OutboxMail } from '../../store/outbox.ts'
import type { Entry, PeerTable } from '../../store/peer-table.ts'
import type { PendingIntroductions } from '../../store/pending-introductions.ts'
import type { SendBudget } from '../../store/send-budget.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostId } from '../../sync/table-sync.ts'
import type { HostContext } from '../context.ts'
import type { DropReason } from '../events.ts'
import type { LateIntroductions } from '../peer-hosts/late-introductions.ts'
import type { Relay } from '../peer-hosts/relay.ts'
import type { HeldRequest, Standby } from '../peer-hosts/standby.ts'
import type { TableExchange } from '../peer-hosts/table-exchange.ts'
import { composeLetter, letterHead } from './compose-letter.ts'
import { flagUnreachable, offerPeer } from './offer-peer.ts'
import { entryOf } from './peer-entry.ts'

export type LetterSource = {
  /** The bytes that the agent signed. */
  readonly signed: Uint8Array
  /** The Message-ID of its mail; the reply refers to it. */
  readonly messageId: string | null
  /** Hosts that we know and to which the same mail went. */
  readonly otherHosts: readonly HostId[]
}

type RequestHandlerOptions = {
  readonly peers: PeerTable
  readonly outbox: Outbox
  readonly budget: SendBudget
  readonly unreachable: UnreachableAddresses
  readonly introductions: PendingIntroductions
  readonly standby: Standby
  readonly relay: Relay
  readonly tableExchange: TableExchange
  readonly lateIntroductions: LateIntroductions
}

type Answer = {
  /** The peers that the reply offers. */
  readonly others: readonly Entry[]
  /** The table holds no later request of this agent. */
  readonly isNewest: boolean
  readonly expiresInMs: number
}

export class RequestHandler {
  readonly #context: HostContext
  readonly #options: RequestHandlerOptions

  constructor(context: HostContext, options: RequestHandlerOptions) {
    this.#context = context
    this.#options = options
  }

  /** Call it inside the letter's transaction, after its ID is remembered. `now` is wall time. */
  handle(
    letter: RequestLetter,
    inviteId: number | null,
    source: LetterSource,
    now: number,
  ): DropReason | null {
    const { peers, unreachable, standby, tableExchange, lateIntroductions } = this.#options
    if (unreachable.has(letter.returnAddress, now)) return 'unreachable'
    const isOurs = standby.mustAnswer(source.otherHosts)
    const isAnsweredElsewhere = !isOurs && tableExchange.wasReceivedFromHost(letter)
    // Read before the new entry overwrites the oldest one.
    const others = this.#othersFor(letter, now)
    // An older request of the same agent may arrive after a newer one. It is answered, but changes nothing.
    const isNewest = peers.upsert(letter.room, entryOf(letter, inviteId), now) !== 'older'
    if (isOurs) {
      const { room, from } = letter
      const expiresInMs = isNewest ? peers.lifeLeftMs(now, now) : peers.expiresInMs(room, from, now)
      this.#answer(letter, source, { others, isNewest, expiresInMs }, now)
    } else if (isNewest && isAnsweredElsewhere) {
      // The agent knows us, too, so we can introduce peers that only we know.
      tableExchange.noteRequest(letter, source.signed)
      lateIntroductions.introduceAgain(letter, now)
    } else if (isNewest) {
      standby.hold({ letter, ...source }, source.otherHosts)
    }
    return null
  }

  /** Answers requests that a standby host held and that no other host answered. Call it inside a transaction. */
  answerHeld(held: readonly HeldRequest[], now: number): void {
    const { peers } = this.#options
    for (const { letter, ...source } of held) {
      const entry = peers.find(letter.room, letter.from, now)
      if (!entry || !equalBytes(entry.session.id, letter.session.id)) continue
      const others = this.#othersFor(letter, now)
      const expiresInMs = peers.lifeLeftMs(entry.acceptedAt, now)
      this.#answer(letter, source, { others, isNewest: true, expiresInMs }, now)
    }
  }

  #othersFor({ room, from }: RequestLetter, now: number): readonly Entry[] {
    return this.#options.peers.recent(room, from, this.#context.settings.replyPeers, now)
  }

  #answer(
    letter: RequestLetter,
    { signed, messageId }: Pick<LetterSource, 'signed' | 'messageId'>,
    { others, isNewest, expiresInMs }: Answer,
    now: number,
  ): void {
    const { introductions, unreachable, tableExchange, relay } = this.#options
    const { natPrefix } = this.#context.settings
    const { room, from } = letter
    const mail = composeLetter(
      this.#context,
      {
        ...letterHead(this.#context, from),
        kind: 'reply',
        sessionId: letter.session.id,
        expiresInMs,
        peers: others.map((other) =>
          offerPeer(flagUnreachable(other, unreachable, now), letter, natPrefix, now),
        ),
      },
      { returnAddress: letter.returnAddress, sessionKey: letter.session.publicKey },
      messageId,
    )
    this.#addReply(mail, letter, now)
    if (isNewest) {
      // The reply replaces introductions of these peers to the requester. The peers in turn must be introduced to it.
      const offered = others.map(({ user }) => user)
      const items = tableExchange.itemsOf(room, offered)
      tableExchange.noteRequest(letter, signed, { isAnsweredHere: true, offered: items })
      introductions.settle(room, from, offered)
      introductions.note(room, relay.introduce(room, offered, from), from, now)
    }
  }

  /** While the budget is used up, only an agent's latest reply waits: every waiting reply uses up the budget of the next
   *  day. */
  #addReply(reply: OutboxMail, { from, sentAt }: RequestLetter, now: number): void {
    const { outbox, budget } = this.#options
    if (budget.state(now) === 'used-up') outbox.addLatest(reply, now, from, sentAt)
    else outbox.add(reply, now, from, sentAt)
  }
}
