// An agent could not connect to a peer (A8): the peer is flagged, which later replies show to others.

import { equalBytes } from '../../base/bytes.ts'
import type { FailureLetter } from '../../letter/letter-types.ts'
import type { PeerTable } from '../../store/peer-table.ts'
import type { DropReason } from '../events.ts'
import type { TableExchange } from '../peer-hosts/table-exchange.ts'

/** Call it inside the letter's transaction. Null when the peer is flagged. `now` is wall time. */
export function handleFailureNotice(
  { peers, tableExchange }: { readonly peers: PeerTable; readonly tableExchange: TableExchange },
  { room, peer, from }: FailureLetter,
  now: number,
): DropReason | null {
  if (equalBytes(peer, from) || peers.find(room, peer, now) === null) return 'unknown-peer'
  peers.flag(room, peer)
  tableExchange.noteFlag(room, peer)
  return null
}
