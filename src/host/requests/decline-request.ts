// What a member is told whose request is not granted: once, sealed, and then nothing until it is worth asking again.
// Strangers are told nothing at all.

import type { Outbox } from '../../store/outbox.ts'
import type { PeerTable } from '../../store/peer-table.ts'
import type { SeenLetters } from '../../store/seen-letters.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostContext } from '../context.ts'
import type { DeclinedRequest } from './admission.ts'
import { freezeLetter, letterHead } from './compose-letter.ts'
import type { SenderLimits } from './sender-rate-limits.ts'

type DeclineOptions = {
  readonly peers: PeerTable
  readonly seen: SeenLetters
  readonly outbox: Outbox
  readonly unreachable: UnreachableAddresses
  readonly senderLimits: SenderLimits
}

/** To be called inside the letter's transaction. `messageId` is the mail's; `now` is Unix ms. */
export function declineRequest(
  context: HostContext,
  { peers, seen, outbox, unreachable, senderLimits }: DeclineOptions,
  { letter, reason, againInMs }: DeclinedRequest,
  messageId: string | null,
  now: number,
): void {
  const { room, from, returnAddress, session } = letter
  if (unreachable.has(returnAddress, now)) return
  if (!senderLimits.mayTell(context.clock.now(), { key: from, address: returnAddress }, againInMs)) return
  // So that the same mail, should it be read again after a crash, is not answered twice.
  seen.remember(from, letter.id, letter.sentAt)
  const frozen = freezeLetter(
    context,
    {
      ...letterHead(context, from),
      kind: 'reply',
      sessionId: session.id,
      expiresInMs: peers.expiresInMs(room, from, now),
      peers: [],
      decline: { reason, againInMs },
    },
    { returnAddress, sessionKey: session.publicKey },
    messageId,
  )
  outbox.add(frozen, now)
}
