// A mail of ours that came back: its recipient is sent nothing for a while.

import { readDeliveryReport } from '../../mail/mime/bounce-report.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostContext } from '../context.ts'
import { readBounceToken } from '../requests/bounce-token.ts'
import type { PendingLetter } from './mail-handler.ts'

export type Bounce = {
  readonly recipient: string
  /** Unix ms. */
  readonly sentAt: number
  /** False when it may still arrive, or did. */
  readonly isFinal: boolean
}

/** `raw`: of a mail that is like a report. Null unless it is one about a mail that we really sent to somebody it names. */
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
