// What happens with a request of an agent that was let in: its entry goes into the table, and it gets a reply with the most
// recent others (A5), unless another host answers it.

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
import { freezeLetter, letterHead } from './compose-letter.ts'
import { flagUnreachable, offerPeer } from './offer-peer.ts'
import { entryOf } from './peer-entry.ts'

export type LetterSource = {
  /** As its agent signed it. */
  readonly signed: Uint8Array
  /** Of the mail it came in, for replies to refer to. */
  readonly messageId: string | null
  /** Hosts that we know and that the same mail went to. */
  readonly asked: readonly HostId[]
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
  /** That are offered. */
  readonly others: readonly Entry[]
  /** No later letter of the same agent overtook it. */
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

  /** To be called inside the letter's transaction, once its ID is remembered. `now` is wall time. */
  take(letter: RequestLetter, inviteId: number | null, source: LetterSource, now: number): DropReason | null {
    const { peers, unreachable, standby, tableExchange, lateIntroductions } = this.#options
    if (unreachable.has(letter.returnAddress, now)) return 'unreachable'
    const isOurs = standby.isForUs(source.asked)
    const isAnswered = !isOurs && tableExchange.isTold(letter)
    // Before the newest pushes the oldest out.
    const others = this.#othersFor(letter, now)
    // A letter that was overtaken by a later one of the same agent is answered, but changes nothing.
    const isNewest = peers.upsert(letter.room, entryOf(letter, inviteId), now) !== 'older'
    if (isOurs) {
      const { room, from } = letter
      const expiresInMs = isNewest ? peers.lifeLeftMs(now, now) : peers.expiresInMs(room, from, now)
      this.#answer(letter, source, { others, isNewest, expiresInMs }, now)
    } else if (isNewest && isAnswered) {
      // Its agent knows us, too: whom only we know it was not offered.
      tableExchange.noteRequest(letter, source.signed)
      lateIntroductions.introduceToOurs(letter, now)
    } else if (isNewest) {
      standby.hold({ letter, ...source }, source.asked)
    }
    return null
  }

  /** Of a host that stood by: requests that no other one answered. Inside a transaction. */
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
    const frozen = freezeLetter(
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
    this.#addReply(frozen, letter, now)
    if (isNewest) {
      // What the reply tells the asker need not be told again; what it tells of others, those must learn.
      const offered = others.map(({ user }) => user)
      const items = tableExchange.itemsOf(room, offered)
      tableExchange.noteRequest(letter, signed, { isAnsweredHere: true, offered: items })
      introductions.settle(room, from, offered)
      introductions.note(room, relay.introduce(room, offered, from), from, now)
    }
  }

  /** While nothing can be sent the latest of an agent's replies is enough: each one that waited would cost the budget of
   *  the next day. */
  #addReply(reply: OutboxMail, { from, sentAt }: RequestLetter, now: number): void {
    const { outbox, budget } = this.#options
    if (budget.state(now) === 'used-up') outbox.addLatest(reply, now, from, sentAt)
    else outbox.add(reply, now, from, sentAt)
  }
}
