// A signal of one agent as a letter to another, which knows this host.

import type { SignalLetter, UserId } from '../../letter/letter-types.ts'
import type { Outbox } from '../../store/outbox.ts'
import type { Entry } from '../../store/peer-table.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostContext } from '../context.ts'
import type { DropReason } from '../events.ts'
import { freezeLetter, letterHead } from './compose-letter.ts'

/** `origin`: the agent that sealed the box. */
export function relaySignal(
  context: HostContext,
  { outbox, unreachable }: { readonly outbox: Outbox; readonly unreachable: UnreachableAddresses },
  recipient: Entry,
  { room, box }: SignalLetter,
  origin: UserId,
  now: number,
): DropReason | null {
  if (unreachable.has(recipient.returnAddress, now)) return 'unreachable'
  const frozen = freezeLetter(
    context,
    { ...letterHead(context, recipient.user), kind: 'signal', room, peer: origin, box },
    { returnAddress: recipient.returnAddress, sessionKey: recipient.session.publicKey },
  )
  outbox.add(frozen, now)
  return null
}
