// Sends the signal of one agent to another agent that knows this host.

import type { SignalLetter, UserId } from '../../letter/letter-types.ts'
import type { Outbox } from '../../store/outbox.ts'
import type { Entry } from '../../store/peer-table.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostContext } from '../context.ts'
import type { DropReason } from '../events.ts'
import { composeLetter, letterHead } from './compose-letter.ts'

/** Call it inside the letter's transaction. `origin`: the agent that sealed the box. `now` is wall time. */
export function relaySignal(
  context: HostContext,
  { outbox, unreachable }: { readonly outbox: Outbox; readonly unreachable: UnreachableAddresses },
  recipient: Entry,
  { room, box }: SignalLetter,
  origin: UserId,
  now: number,
): DropReason | null {
  if (unreachable.has(recipient.returnAddress, now)) return 'unreachable'
  const mail = composeLetter(
    context,
    { ...letterHead(context, recipient.user), kind: 'signal', room, peer: origin, box },
    { returnAddress: recipient.returnAddress, sessionKey: recipient.session.publicKey },
  )
  outbox.add(mail, now)
  return null
}
