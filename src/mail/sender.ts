// Sending, as host and agent see it. The bytes are frozen before they come here.

import type { Problem } from '../base/problem.ts'
import type { MailToCompose } from './mime/compose-mail.ts'

export type OutgoingMail = {
  /** Envelope sender. */
  readonly from: string
  /** Envelope recipients, addresses only. */
  readonly to: readonly string[]
  /** The whole RFC 5322 mail. */
  readonly raw: Uint8Array
}

export type SendOutcome =
  | { readonly outcome: 'sent' }
  /** Try the same bytes again later. `reason` is one line for the log. `problem`: any other mail would meet the same, for the
   *  trouble is the server's, or that of our account there. */
  | { readonly outcome: 'later'; readonly reason: string; readonly problem?: Problem }
  /** Taken, but not for all recipients. `again`: those for whom the same bytes may be tried later; never all. */
  | { readonly outcome: 'partly'; readonly again: readonly string[]; readonly reason: string }
  /** The server will never take this mail for this recipient; nor, where it is about the recipient, any other one. */
  | { readonly outcome: 'refused'; readonly reason: string; readonly about: 'recipient' | 'mail' }

export interface MailSender {
  /** Never rejects. An outcome unknown (connection lost after DATA) is `later`: same bytes, same Message-ID. */
  send(mail: MailToCompose | OutgoingMail): Promise<SendOutcome>
  /** Connects and logs in once; rejects with a Problem that names the remedy. */
  verify(): Promise<void>
  /** Mails that can be under way at once. */
  readonly concurrency: number
  /** The computer is in another network, or has slept: connections of before are not used any more. */
  check?(): void
  close(): Promise<void>
}
