// Applies the statements about agents that another host sends. It accepts only what the agent itself signed (A13): no host can
// invent a member, and an old statement has no effect.

import { equalBytes } from '../../base/bytes.ts'
import { requestContent } from '../../letter/letter-codec.ts'
import type { LeaveLetter, RequestLetter, Statement, UserId } from '../../letter/letter-types.ts'
import { verifyStatement } from '../../letter/signature.ts'
import type { Invites } from '../../store/invites.ts'
import type { PeerTable } from '../../store/peer-table.ts'
import type { SignedStatements } from '../../store/signed-statements.ts'
import { decodeItems, itemVersion, leaveVersion } from '../../sync/item-version.ts'
import type { HostContext } from '../context.ts'
import { entryOf } from '../requests/peer-entry.ts'
import type { RoomMembers } from '../requests/room-members.ts'
import type { LateIntroductions } from './late-introductions.ts'
import type { TableExchange } from './table-exchange.ts'

type StatementReceiverOptions = {
  readonly peers: PeerTable
  readonly invites: Invites
  readonly statements: SignedStatements
  readonly roomMembers: RoomMembers
  readonly tableExchange: TableExchange
  readonly lateIntroductions: LateIntroductions
}

export class StatementReceiver {
  readonly #context: HostContext
  readonly #options: StatementReceiverOptions

  constructor(context: HostContext, options: StatementReceiverOptions) {
    this.#context = context
    this.#options = options
  }

  /** Call it inside the letter's transaction. `receivedFrom`: the host that sent the letter. `now` is wall time. */
  receive(statement: Statement, receivedFrom: UserId, now: number): void {
    const { crypto, self, settings } = this.#context
    const { roomMembers } = this.#options
    const verified = verifyStatement(crypto, statement.signed)
    if (!verified.ok) return
    const { letter } = verified
    const room = self.rooms.find(({ tag }) => equalBytes(tag, letter.room))
    if (!room || roomMembers.isBlocked(letter.from)) return
    if (now - letter.sentAt > settings.freshnessMs || letter.sentAt - now > settings.futureToleranceMs) return
    if (letter.kind !== 'request') {
      this.#receiveLeave(letter, statement, receivedFrom, now)
      return
    }
    const membership = roomMembers.check(letter, room, now)
    if (membership.refusal === null)
      this.#receiveRequest(letter, membership.inviteId, statement, receivedFrom, now)
  }

  #receiveLeave(letter: LeaveLetter, { signed }: Statement, receivedFrom: UserId, now: number): void {
    const { peers, statements, tableExchange } = this.#options
    const key = statements.keyOf(letter.room, letter.from)
    const isNewer = statements.compareVersion(key, leaveVersion(letter.sentAt)) === 'newer'
    // Without an entry there is nothing to remove, and strangers could fill the list of agents that left.
    if (!isNewer || peers.find(letter.room, letter.from, now) === null) return
    peers.leave(letter.room, letter.from, letter.sentAt)
    tableExchange.noteLeave(letter, signed, receivedFrom)
  }

  #receiveRequest(
    letter: RequestLetter,
    inviteId: number | null,
    { signed, flagged, ageMs, offered }: Statement,
    receivedFrom: UserId,
    now: number,
  ): void {
    const { peers, invites, statements, tableExchange, lateIntroductions } = this.#options
    const { crypto, settings } = this.#context
    if (ageMs >= settings.expiryMs) return
    const version = itemVersion(crypto, letter.sentAt, requestContent(letter))
    const key = statements.keyOf(letter.room, letter.from)
    const comparison = statements.compareVersion(key, version)
    if (comparison === 'same') {
      if (!flagged || !peers.flag(letter.room, letter.from)) return
      tableExchange.noteFlag(letter.room, letter.from, receivedFrom)
      return
    }
    if (comparison === 'older') return
    if (statements.find(key) === null && !statements.hasRoomFor({ key, version, flagged: false })) return
    if (peers.upsert(letter.room, entryOf(letter, inviteId), now - ageMs) === 'older') return
    if (inviteId !== null) invites.use(inviteId, letter.from, now)
    if (flagged) peers.flag(letter.room, letter.from)
    const offeredItems = decodeItems(offered ?? new Uint8Array()) ?? []
    tableExchange.noteRequest(letter, signed, { receivedFrom, flagged, offered: offeredItems })
    lateIntroductions.introduce(letter, now)
  }
}
