// Recognises a bounce of one of our mails. Its recipient then gets no mail for a while.

import { readDeliveryReport } from '../../mail/mime/bounce-report.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostContext } from '../context.ts'
import { readBounceToken } from '../requests/bounce-token.ts'
import type { PendingLetter } from './mail-handler.ts'

export type Bounce = {
  readonly recipient: string
  /** Unix ms. */
  readonly sentAt: number
  /** False when the mail may still arrive, or has arrived. */
  readonly isFinal: boolean
}

/** `raw`: a mail that looks like a delivery report. Null unless it is about a mail that we sent to a recipient that it
 *  names. */
export function readBounce(
  { self, crypto }: Pick<HostContext, 'self' | 'crypto'>,
  raw: Uint8Array,
): Bounce | null {
  const { messageIds, recipients, isFinal } = readDeliveryReport(raw)
  for (const messageId of messageIds) {
    for (const recipient of recipients) {
      const sentAt = readBounceToken(crypto, self.bounceTokenKey, messageId, recipient)
      if (sentAt !== null) return { recipient, sentAt, isFinal }
    }
  }
  return null
}

export function pendingBounce(
  { clock }: Pick<HostContext, 'clock'>,
  { unreachable }: { readonly unreachable: UnreachableAddresses },
  { recipient, sentAt, isFinal }: Bounce,
): PendingLetter {
  return {
    kind: 'unknown',
    settle: () => {
      if (isFinal) unreachable.note(recipient, sentAt, clock.wallNow())
      return 'bounce'
    },
  }
}
