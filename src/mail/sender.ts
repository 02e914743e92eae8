// The interface of a mail sender. Each attempt to send a mail sends the same bytes.

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
  /** Try the same bytes again later. `reason`: one line for the log. `problem`: the fault is the server's or that
   *  of our account, so other mails fail too. */
  | { readonly outcome: 'later'; readonly reason: string; readonly problem?: Problem }
  /** Sent to some recipients. `again`: recipients for whom to try the same bytes later; never all. */
  | { readonly outcome: 'partly'; readonly again: readonly string[]; readonly reason: string }
  /** The server will never accept this mail. `about: 'recipient'`: nor any other mail for this recipient. */
  | { readonly outcome: 'refused'; readonly reason: string; readonly about: 'recipient' | 'mail' }

export interface MailSender {
  /** Never rejects. If the connection is lost after DATA, the outcome is `later`; the Message-ID stays the same. */
  send(mail: MailToCompose | OutgoingMail): Promise<SendOutcome>
  /** Connects and logs in once. Rejects with a Problem that has a remedy. */
  verify(): Promise<void>
  /** How many mails can be sent at the same time. */
  readonly concurrency: number
  /** Call this when the network changed or the computer was suspended. Old connections are then not used any more. */
  check?(): void
  close(): Promise<void>
}
