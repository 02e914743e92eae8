// Adds to nodemailer's errors: a Problem with a remedy if the server or our account is at fault.
// Faults of one mail or one recipient are in smtp-outcome.ts.

import { Problem } from '../../base/problem.ts'
import { type SmtpUrl, serverName } from '../mail-url.ts'
import { clearTextProblem, fieldsOf, loginProblem, reasonOf, serverProblem } from '../server-errors.ts'
import { enhancedCodeOf } from './smtp-outcome.ts'

/** The Problem of a connection that failed before any mail. */
export function openingProblem(url: SmtpUrl, error: unknown): Problem {
  // `cause` is a Problem if the login server gave no token.
  const { cause, code, responseCode, command } = fieldsOf(error)
  if (error instanceof Problem) return error
  if (cause instanceof Problem) return cause
  const isPermanent = typeof responseCode === 'number' && responseCode >= 500
  if (code === 'EAUTH' && (isPermanent || responseCode === undefined)) return loginProblem('SMTP', url, error)
  // We demand STARTTLS, and the server does not know the command.
  if (code === 'ETLS' && command === 'STARTTLS' && isPermanent) return clearTextProblem('SMTP', url)
  return serverProblem('SMTP', url, error)
}

/** Null if the answer seems to be about this mail or its recipient only. */
export function sendingProblem(url: SmtpUrl, error: unknown): Problem | null {
  const { responseCode, command } = fieldsOf(error)
  if (isBeforeMail(error)) return openingProblem(url, error)
  if (typeof responseCode !== 'number') return null
  const server = `The SMTP server ${serverName(url)}`
  const cause = { cause: error }
  if (isAboutVolume(error)) {
    return new Problem(
      'mail-server',
      `${server} takes no more mails from us for now: ${reasonOf(error)}.`,
      'They wait and are tried again by themselves. If it lasts, look on the page of the provider whether the account is blocked, full or over its daily limit. On a host, set per_day below that limit.',
      cause,
    )
  }
  if (command === 'MAIL FROM' && responseCode >= 500) {
    return new Problem(
      'mail-server',
      `${server} takes no mails from our address: ${reasonOf(error)}.`,
      'Check that the address in the config belongs to the account that sends the mails.',
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

/** Whether the connection failed before any mail was sent over it. */
function isBeforeMail(error: unknown): boolean {
  const { code, command, originalCode, responseCode, syscall, timeoutType } = fieldsOf(error)
  if (code === 'EAUTH' || code === 'ETLS' || code === 'EDNS' || syscall === 'connect') return true
  if (timeoutType !== undefined) return timeoutType !== 'SOCKET_TIMEOUT'
  // nodemailer's pool gives no command if the server closes each connection before its greeting.
  if (code === 'ECONNECTION' && command === undefined && originalCode === undefined) return true
  return (
    /^(?:EHLO|HELO|STARTTLS|AUTH)\b/.test(String(command)) ||
    (command === 'CONN' && responseCode !== undefined && responseCode !== 421)
  )
}

/** Whether we send too much or our account is full. A full mailbox of the recipient does not count. */
function isAboutVolume(error: unknown): boolean {
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
    // Policies. One about a rate or quota concerns our account, another may concern the recipient (greylisting).
    case 7:
      return /\b(?:rate|limit|limits|limited|quota|too (?:many|much|fast)|unusual rate)\b/i.test(text)
    default:
      return command === 'MAIL FROM' && (responseCode === 452 || responseCode === 552)
  }
}
