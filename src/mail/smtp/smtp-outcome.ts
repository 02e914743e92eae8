// What an SMTP failure means for a mail that will be tried again with the same bytes. Providers use
// permanent codes for quotas, policies and moods, so only answers about this recipient or this content
// count as final.

import type { SendOutcome } from '../sender.ts'
import { fieldsOf, reasonOf } from '../server-errors.ts'

/** A recipient for whom the server did not take the mail, and nodemailer's error that says why. */
type RejectedRecipient = { readonly recipient: string; readonly error: unknown }

/** Enhanced status codes (RFC 3463, RFC 5248), as subject.detail, that no retry will change. */
function isFinalDetail(subject: number, detail: number): boolean {
  switch (subject) {
    // Addresses: unknown mailbox, bad domain, moved … but not those about the sender.
    case 1:
      return detail !== 7 && detail !== 8
    // Mailbox disabled; full ones (5.2.2) may get room again.
    case 2:
      return detail === 1
    // Message too big for the system.
    case 3:
      return detail === 4
    // Content or media.
    case 6:
      return true
    // 4 is the network and, at Gmail, the daily quota (5.4.5); 5 the protocol; 7 policy.
    default:
      return false
  }
}

/** RFC 5321 §4.2.3 replies about a mailbox, from servers that add no enhanced code. */
const finalAtRecipient = new Set([550, 551, 553, 556])

/** The outcome for an error of nodemailer's about a whole mail. */
export function outcomeOf(error: unknown): Extract<SendOutcome, { outcome: 'later' | 'refused' }> {
  const reason = reasonOf(error)
  if (!isFinal(error)) return { outcome: 'later', reason }
  const { responseCode } = fieldsOf(error)
  const subject = enhancedCodeOf(error)?.subject
  const isAboutMail = typeof responseCode !== 'number' || subject === 3 || subject === 6
  return { outcome: 'refused', reason, about: isAboutMail ? 'mail' : 'recipient' }
}

/** The outcome for a mail that was taken for all recipients but these. */
export function outcomeWithout(rejected: readonly RejectedRecipient[]): SendOutcome {
  const [first] = rejected
  if (!first) return { outcome: 'sent' }
  const again = rejected.filter(({ error }) => !isFinal(error)).map(({ recipient }) => recipient)
  return { outcome: 'partly', again, reason: reasonOf(first.error) }
}

function isFinal(error: unknown): boolean {
  const { code, responseCode, command } = fieldsOf(error)
  if (typeof responseCode !== 'number') {
    // Found before anything was sent: larger than the SIZE the server announced, or no valid recipient.
    return code === 'EMESSAGE' || (code === 'EENVELOPE' && command === 'API')
  }
  if (responseCode < 500 || responseCode > 599 || code === 'EAUTH' || command === 'MAIL FROM') return false
  const enhanced = enhancedCodeOf(error)
  if (enhanced) return isFinalDetail(enhanced.subject, enhanced.detail)
  return command === 'RCPT TO' && finalAtRecipient.has(responseCode)
}

/** Null where the server gives none. */
export function enhancedCodeOf(error: unknown): { readonly subject: number; readonly detail: number } | null {
  const { response } = fieldsOf(error)
  const code = typeof response === 'string' ? /^(\d)\d\d[ -]\1\.(\d{1,3})\.(\d{1,3})\b/.exec(response) : null
  return code && { subject: Number(code[2]), detail: Number(code[3]) }
}
