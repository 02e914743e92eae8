// What is wrong with an SMTP server or with our account there, as a sentence with a remedy; as opposed to what it has
// against one mail or one recipient.

import { Problem } from '../../base/problem.ts'
import { type SmtpUrl, serverName } from '../mail-url.ts'
import { clearTextProblem, fieldsOf, loginProblem, reasonOf, serverProblem } from '../server-errors.ts'
import { enhancedCodeOf } from './smtp-outcome.ts'

/** Why no connection could be made ready for mails. */
export function openingProblem(url: SmtpUrl, error: unknown): Problem {
  // The login server's, where there was no token.
  const { cause, code, responseCode, command } = fieldsOf(error)
  if (error instanceof Problem) return error
  if (cause instanceof Problem) return cause
  const refusedForGood = typeof responseCode === 'number' && responseCode >= 500
  if (code === 'EAUTH' && (refusedForGood || responseCode === undefined))
    return loginProblem('SMTP', url, error)
  // Asked for STARTTLS because we insist, answered "unknown command".
  if (code === 'ETLS' && command === 'STARTTLS' && refusedForGood) return clearTextProblem('SMTP', url)
  return serverProblem('SMTP', url, error)
}

/** Null when it is about this mail or its recipient, as far as the answer tells. */
export function sendingProblem(url: SmtpUrl, error: unknown): Problem | null {
  const { responseCode, command } = fieldsOf(error)
  if (isAtOpening(error)) return openingProblem(url, error)
  if (typeof responseCode !== 'number') return null
  const server = `The SMTP server ${serverName(url)}`
  const cause = { cause: error }
  if (isAboutAmount(error)) {
    return new Problem(
      'mail-server',
      `${server} takes no more mails from us for now: ${reasonOf(error)}.`,
      'They wait and are tried again by themselves. If it lasts, look on the page of the provider whether the account is blocked, full or over its daily limit, and let per_day in the config of a host be below that limit.',
      cause,
    )
  }
  if (command === 'MAIL FROM' && responseCode >= 500) {
    return new Problem(
      'mail-server',
      `${server} takes no mails from our address: ${reasonOf(error)}.`,
      'Check that the address in the config belongs to the account that mails are sent by.',
      cause,
    )
  }
  if (command !== 'MAIL FROM' && responseCode !== 421) return null
  return new Problem(
    'mail-server',
    `${server} takes no mails for now: ${reasonOf(error)}.`,
    'They wait and are tried again by themselves.',
    cause,
  )
}

/** Whether no connection was made ready, so that no mail was begun. */
function isAtOpening(error: unknown): boolean {
  const { code, command, originalCode, responseCode, syscall, timeoutType } = fieldsOf(error)
  if (code === 'EAUTH' || code === 'ETLS' || code === 'EDNS' || syscall === 'connect') return true
  if (timeoutType !== undefined) return timeoutType !== 'SOCKET_TIMEOUT'
  // The pool names no command where the server hung up before its greeting, each time.
  if (code === 'ECONNECTION' && command === undefined && originalCode === undefined) return true
  return (
    /^(?:EHLO|HELO|STARTTLS|AUTH)\b/.test(String(command)) ||
    (command === 'CONN' && responseCode !== undefined && responseCode !== 421)
  )
}

/** What we send too much of, or have no room for; of the recipient's mailbox only where it cannot be meant. */
function isAboutAmount(error: unknown): boolean {
  const { command, response, responseCode } = fieldsOf(error)
  const enhanced = enhancedCodeOf(error)
  const text = typeof response === 'string' ? response : ''
  switch (enhanced?.subject) {
    case 2:
      return command === 'MAIL FROM'
    // The mail system is full.
    case 3:
      return enhanced.detail === 1 || (command === 'MAIL FROM' && responseCode === 452)
    // Gmail's daily quota.
    case 4:
      return enhanced.detail === 5
    // Policies: one with a number in it is about what we send, another may be about the recipient (greylisting).
    case 7:
      return /\b(?:rate|limit|limits|limited|quota|too (?:many|much|fast)|unusual rate)\b/i.test(text)
    default:
      return command === 'MAIL FROM' && (responseCode === 452 || responseCode === 552)
  }
}
