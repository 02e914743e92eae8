// What a member is told whose request is not granted: once, sealed, and then nothing until it is worth asking again.
// Strangers are told nothing at all.

import type { RequestLetter } from '../../letter/letter-types.ts'
import type { HostParts } from '../context.ts'
import type { Decline } from './admission-rules.ts'
import { freezeLetter, letterHead } from './compose-letter.ts'

/** To be called inside the letter's transaction. `messageId` is the mail's; `wallNow` is Unix ms. */
export function declineRequest(
  parts: HostParts,
  letter: RequestLetter,
  { reason, againInMs }: Decline,
  messageId: string | null,
  wallNow: number,
): void {
  const { peers, seen, outbox, unreachable, limits, clock } = parts
  const { room, from, returnAddress, session } = letter
  if (unreachable.has(returnAddress, wallNow)) return
  if (!limits.mayTell(clock.now(), { key: from, address: returnAddress }, againInMs)) return
  // So that the same mail, should it be read again after a crash, is not answered twice.
  seen.remember(from, letter.id, letter.sentAt)
  const frozen = freezeLetter(
    parts,
    {
      ...letterHead(parts, from),
      kind: 'reply',
      sessionId: session.id,
      expiresInMs: peers.expiresInMs(room, from, wallNow),
      peers: [],
      decline: { reason, againInMs },
    },
    { returnAddress, sessionKey: session.publicKey },
    messageId,
  )
  outbox.add(frozen, wallNow)
}
