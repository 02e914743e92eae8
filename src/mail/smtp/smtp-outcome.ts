// Adds to nodemailer's errors: whether the same mail can be tried again later, or is refused for good.
// Providers also use permanent codes for quotas and policies. So only answers about this recipient or this content are
// final.

import type { SendOutcome } from '../sender.ts'
import { fieldsOf, reasonOf } from '../server-errors.ts'

/** A recipient that the server rejected, and nodemailer's error. */
type RejectedRecipient = { readonly recipient: string; readonly error: unknown }

/** Whether an enhanced status code (RFC 3463, RFC 5248) with this subject and detail is final. */
function isFinalDetail(subject: number, detail: number): boolean {
  switch (subject) {
    // Addresses: unknown mailbox, bad domain and others. 7 and 8 are about the sender.
    case 1:
      return detail !== 7 && detail !== 8
    // The mailbox is disabled. A full mailbox (5.2.2) may have space again later.
    case 2:
      return detail === 1
    // The message is too big for the system.
    case 3:
      return detail === 4
    // Content or media.
    case 6:
      return true
    // 4 is the network and, at Gmail, the daily quota (5.4.5). 5 is the protocol, 7 is policy.
    default:
      return false
  }
}

/** Replies about a mailbox (RFC 5321 §4.2.3), for servers that send no enhanced code. */
const finalAtRecipient = new Set([550, 551, 553, 556])

/** The outcome of a mail for which nodemailer threw an error. */
export function outcomeOf(error: unknown): Extract<SendOutcome, { outcome: 'later' | 'refused' }> {
  const reason = reasonOf(error)
  if (!isFinal(error)) return { outcome: 'later', reason }
  const { responseCode } = fieldsOf(error)
  const subject = enhancedCodeOf(error)?.subject
  const isAboutMail = typeof responseCode !== 'number' || subject === 3 || subject === 6
  return { outcome: 'refused', reason, about: isAboutMail ? 'mail' : 'recipient' }
}

/** The outcome of a mail that the server accepted for all recipients but these. */
export function outcomeWithout(rejected: readonly RejectedRecipient[]): SendOutcome {
  const [first] = rejected
  if (!first) return { outcome: 'sent' }
  const again = rejected.filter(({ error }) => !isFinal(error)).map(({ recipient }) => recipient)
  return { outcome: 'partly', again, reason: reasonOf(first.error) }
}

function isFinal(error: unknown): boolean {
  const { code, responseCode, command } = fieldsOf(error)
  if (typeof responseCode !== 'number') {
    // nodemailer found it before it sent anything: the mail exceeds the server's SIZE, or no recipient is valid.
    return code === 'EMESSAGE' || (code === 'EENVELOPE' && command === 'API')
  }
  if (responseCode < 500 || responseCode > 599 || code === 'EAUTH' || command === 'MAIL FROM') return false
  const enhanced = enhancedCodeOf(error)
  if (enhanced) return isFinalDetail(enhanced.subject, enhanced.detail)
  return command === 'RCPT TO' && finalAtRecipient.has(responseCode)
}

/** Null if the server sends none. */
export function enhancedCodeOf(error: unknown): { readonly subject: number; readonly detail: number } | null {
  const { response } = fieldsOf(error)
  const code = typeof response === 'string' ? /^(\d)\d\d[ -]\1\.(\d{1,3})\.(\d{1,3})\b/.exec(response) : null
  return code && { subject: Number(code[2]), detail: Number(code[3]) }
}
