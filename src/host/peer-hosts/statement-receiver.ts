// What another host tells of an agent is taken only as far as the agent itself signed it (A13): no host can
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

  /** Inside the transaction of the letter it came in. `toldBy`: the host that sent it. */
  take(statement: Statement, toldBy: UserId, now: number): void {
    const { crypto, self, settings } = this.#context
    const { roomMembers } = this.#options
    const verified = verifyStatement(crypto, statement.signed)
    if (!verified.ok) return
    const { letter } = verified
    const room = self.rooms.find(({ tag }) => equalBytes(tag, letter.room))
    if (!room || roomMembers.isBlocked(letter.from)) return
    if (now - letter.sentAt > settings.freshnessMs || letter.sentAt - now > settings.futureToleranceMs) return
    if (letter.kind !== 'request') {
      this.#takeGoodbye(letter, statement, toldBy, now)
      return
    }
    const membership = roomMembers.check(letter, room, now)
    if (membership.refusal === null) this.#takeRequest(letter, membership.inviteId, statement, toldBy, now)
  }

  #takeGoodbye(letter: LeaveLetter, { signed }: Statement, toldBy: UserId, now: number): void {
    const { peers, statements, tableExchange } = this.#options
    const key = statements.keyOf(letter.room, letter.from)
    const isNews = statements.compareVersion(key, leaveVersion(letter.sentAt)) === 'newer'
    // Of somebody we never heard of there is nothing to remove, and strangers could fill the memory of those who left.
    if (!isNews || peers.find(letter.room, letter.from, now) === null) return
    peers.leave(letter.room, letter.from, letter.sentAt)
    tableExchange.noteGoodbye(letter, signed, toldBy)
  }

  #takeRequest(
    letter: RequestLetter,
    inviteId: number | null,
    { signed, flagged, ageMs, offered }: Statement,
    toldBy: UserId,
    now: number,
  ): void {
    const { peers, invites, statements, tableExchange, lateIntroductions } = this.#options
    const { crypto, settings } = this.#context
    if (ageMs >= settings.expiryMs) return
    const version = itemVersion(crypto, letter.sentAt, requestContent(letter))
    const key = statements.keyOf(letter.room, letter.from)
    const news = statements.compareVersion(key, version)
    if (news === 'same') {
      if (!flagged || !peers.flag(letter.room, letter.from)) return
      tableExchange.noteFlag(letter.room, letter.from, toldBy)
      return
    }
    if (news === 'older') return
    if (statements.find(key) === null && !statements.hasRoomFor({ key, version, flagged: false })) return
    if (peers.upsert(letter.room, entryOf(letter, inviteId), now - ageMs) === 'older') return
    if (inviteId !== null) invites.use(inviteId, letter.from, now)
    if (flagged) peers.flag(letter.room, letter.from)
    const known = decodeItems(offered ?? new Uint8Array()) ?? []
    tableExchange.noteRequest(letter, signed, { toldBy, flagged, offered: known })
    lateIntroductions.introduce(letter, now)
  }
}
