// What another host tells of an agent is taken only as far as the agent itself signed it (A13): no host can
// invent a member, and an old statement has no effect.

import { equalBytes } from '../../base/bytes.ts'
import { requestContent } from '../../letter/letter-codec.ts'
import type { RequestLetter, Statement, UserId } from '../../letter/letter-types.ts'
import { verifyStatement } from '../../letter/signature.ts'
import { decodeItems, itemVersion, leaveVersion } from '../../sync/item-version.ts'
import type { HostGround } from '../context.ts'
import { introduceLate } from '../late-introductions.ts'
import { faultOf } from '../requests/admission-rules.ts'
import { isBlocked, membershipOf } from '../requests/admit.ts'
import { entryOf } from '../requests/handle-letter.ts'
import type { PeerHosts } from './peer-hosts.ts'

/** Inside the transaction of the letter it came in. `toldBy`: the host that sent it. */
export function takeStatement(
  parts: HostGround,
  peerHosts: PeerHosts,
  statement: Statement,
  toldBy: UserId,
  now: number,
): void {
  const { crypto, self, settings, peers } = parts
  const verified = verifyStatement(crypto, statement.signed)
  if (!verified.ok) return
  const { letter } = verified
  const room = self.rooms.find(({ tag }) => equalBytes(tag, letter.room))
  if (!room || isBlocked(parts, letter.from)) return
  if (now - letter.sentAt > settings.freshnessMs || letter.sentAt - now > settings.futureToleranceMs) return
  if (letter.kind === 'request') {
    const membership = membershipOf(parts, letter, now)
    if (faultOf(membership, room) !== null) return
    const inviteId = membership.by === 'invite' ? membership.id : null
    takeRequest(parts, peerHosts, { ...statement, letter, inviteId }, toldBy, now)
    return
  }
  // Of somebody we never heard of there is nothing to remove, and strangers could fill the memory of those who left.
  const { statements } = peerHosts
  const key = statements.keyOf(letter.room, letter.from)
  const isNews = statements.compareVersion(key, leaveVersion(letter.sentAt)) === 'newer'
  if (!isNews || peers.find(letter.room, letter.from, now) === null) return
  peers.leave(letter.room, letter.from, letter.sentAt)
  peerHosts.noteGoodbye(letter, statement.signed, toldBy)
}

function takeRequest(
  ground: HostGround,
  peerHosts: PeerHosts,
  told: Statement & { readonly letter: RequestLetter; readonly inviteId: number | null },
  toldBy: UserId,
  now: number,
): void {
  const { crypto, peers, settings, invites } = ground
  const { letter, inviteId, signed, flagged, ageMs, offered } = told
  if (ageMs >= settings.expiryMs) return
  const version = itemVersion(crypto, letter.sentAt, requestContent(letter))
  const { statements } = peerHosts
  const key = statements.keyOf(letter.room, letter.from)
  const news = statements.compareVersion(key, version)
  if (news === 'same') {
    if (!flagged || !peers.flag(letter.room, letter.from)) return
    peerHosts.noteFlag(letter.room, letter.from, toldBy)
    return
  }
  if (news === 'older') return
  if (statements.find(key) === null && !statements.hasRoomFor({ key, version, flagged: false })) return
  if (peers.upsert(letter.room, entryOf(letter, inviteId), now - ageMs) === 'older') return
  if (inviteId !== null) invites.use(inviteId, letter.from, now)
  if (flagged) peers.flag(letter.room, letter.from)
  const known = decodeItems(offered ?? new Uint8Array()) ?? []
  peerHosts.noteRequest(letter, signed, { toldBy, flagged, offered: known })
  introduceLate(ground, peerHosts, letter, now)
}
