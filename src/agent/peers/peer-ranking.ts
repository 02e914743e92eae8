// Whom to try first (A6): friends before others, those that answered before those flagged as failing,
// then the most recent. Blocked ones and ourselves never.

import { equalBytes, toHex } from '../../base/bytes.ts'
import type { OfferedPeer, UserId } from '../../letter/letter-types.ts'

export type PeerPreferences = {
  /** User IDs in hex. */
  readonly friends: ReadonlySet<string>
  readonly blocked: ReadonlySet<string>
}

export function choosePeers(
  offered: readonly OfferedPeer[],
  self: UserId,
  preferences: PeerPreferences,
): readonly OfferedPeer[] {
  const rank = (peer: OfferedPeer): number =>
    (preferences.friends.has(toHex(peer.id)) ? 0 : 2) + (peer.flagged ? 1 : 0)
  return offered
    .filter((peer) => welcome(peer.id, self, preferences))
    .sort((a, b) => rank(a) - rank(b) || a.ageMs - b.ageMs)
}

/** Whether we want to talk with this user at all. */
export function welcome(id: UserId, self: UserId, preferences: PeerPreferences): boolean {
  return !equalBytes(id, self) && !preferences.blocked.has(toHex(id))
}
