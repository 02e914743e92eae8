// Tells a member once why its request is declined, in a sealed reply. It gets no more until it should try again. Strangers
// get no answer at all.

import type { Outbox } from '../../store/outbox.ts'
import type { PeerTable } from '../../store/peer-table.ts'
import type { SeenLetters } from '../../store/seen-letters.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostContext } from '../context.ts'
import type { DeclinedRequest } from './admission.ts'
import { composeLetter, letterHead } from './compose-letter.ts'
import type { SenderLimits } from './sender-rate-limits.ts'

type DeclineOptions = {
  readonly peers: PeerTable
  readonly seen: SeenLetters
  readonly outbox: Outbox
  readonly unreachable: UnreachableAddresses
  readonly senderLimits: SenderLimits
}

/** Call it inside the letter's transaction. `messageId`: of the request's mail. `now` is wall time. */
export function declineRequest(
  context: HostContext,
  { peers, seen, outbox, unreachable, senderLimits }: DeclineOptions,
  { letter, reason, againInMs }: DeclinedRequest,
  messageId: string | null,
  now: number,
): void {
  const { room, from, returnAddress, session } = letter
  if (unreachable.has(returnAddress, now)) return
  if (!senderLimits.mayDecline(context.clock.now(), { key: from, address: returnAddress }, againInMs)) return
  // After a crash the same mail may be read again. It must not be answered twice.
  seen.remember(from, letter.id, letter.sentAt)
  const mail = composeLetter(
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
  outbox.add(mail, now)
}
