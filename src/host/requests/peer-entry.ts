// Makes the entry of the peer table from a request.

import type { RequestLetter } from '../../letter/letter-types.ts'
import type { NewEntry } from '../../store/peer-table.ts'

export function entryOf(letter: RequestLetter, inviteId: number | null): NewEntry {
  const { from, nickname, session, returnAddress, candidates, tcpCandidates, nat, sentAt } = letter
  return {
    user: from,
    nickname,
    session,
    returnAddress,
    candidates,
    nat,
    sentAt,
    inviteId,
    ...(tcpCandidates && { tcpCandidates }),
  }
}
