// The order in which peers are tried (A6): friends first, then peers not flagged as unreachable, then the most recent.
// Blocked users and we ourselves are left out.

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
    .filter((peer) => isAllowed(peer.id, self, preferences))
    .sort((a, b) => rank(a) - rank(b) || a.ageMs - b.ageMs)
}

/** False for blocked users and for ourselves. */
export function isAllowed(id: UserId, self: UserId, preferences: PeerPreferences): boolean {
  return !equalBytes(id, self) && !preferences.blocked.has(toHex(id))
}
