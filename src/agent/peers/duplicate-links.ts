// Two agents may have several links for a moment: each request brings a new session, and each pair of sessions a
// link of its own. Datagrams go over the one that opened last (make before break), and one of the two agents, the
// one with the lower user ID, closes the others. If both closed what they hold superfluous, each could close the
// link that the other keeps.

import { compareBytes } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import type { UserId } from '../../letter/letter-types.ts'
import type { ConnectionTable, Entry } from './connection-table.ts'

/** A superseded link stays so long: until the newer one is surely open on both sides, and what is under way on
 *  this one has arrived. */
const supersededLinkMs = 5_000

/** `entry` has just opened. */
export function supersedeOthers(book: ConnectionTable, entry: Entry, self: UserId, clock: Clock): void {
  const { id } = entry.peerConnection.peer
  const isCloser = compareBytes(self, id) < 0
  for (const other of book.others(entry)) {
    // Without a path here it cannot be open on the other side, so either may end it.
    if (other.peerConnection.isPunching) other.peerConnection.close()
    if (!isCloser || !other.peerConnection.isOpen) continue
    other.cancelClose()
    other.cancelClose = clock.after(supersededLinkMs, () => {
      // Unless the newer link broke down meanwhile.
      if (book.linkWith(id) === other) return
      other.isSuperseded = true
      other.peerConnection.close()
    })
  }
}
