// Adds to imapflow's errors: a Problem with a remedy, and whether a refused login is only temporary.

import { Problem } from '../../base/problem.ts'
import { type ImapUrl, serverName } from '../mail-url.ts'
import { clearTextProblem, fieldsOf, loginProblem, reasonOf, serverProblem } from '../server-errors.ts'

/** Response codes (RFC 5530, RFC 9051 §7.1) of a refused login that is not the fault of the password: too many
 *  connections or logins, a locked mailbox, or a server that cannot check passwords at the moment. */
const temporaryCodes = new Set(['LIMIT', 'INUSE', 'UNAVAILABLE', 'SERVERBUG'])

/** Texts of Gmail, Exchange and others, which send no code. */
const temporaryTexts =
  /too many (?:simultaneous|concurrent|connections|logins|requests)|rate limit|throttl|server unavailable|(?:try again|temporar)/i

export function connectProblem(url: ImapUrl, error: unknown): Problem {
  const fields = fieldsOf(error)
  if (isTemporary(error)) {
    return new Problem(
      'mail-server',
      `The IMAP server ${serverName(url)} refuses all logins for now: ${reasonOf(error)}.`,
      'It is tried again by itself, less and less often. Close other mail programs that use this mailbox.',
      { cause: error },
    )
  }
  if (fields.authenticationFailed === true) return loginProblem('IMAP', url, error)
  if (fields.tlsFailed === true && /not support STARTTLS/i.test(reasonOf(error))) {
    return clearTextProblem('IMAP', url)
  }
  return serverProblem('IMAP', url, error)
}

/** Whether a login was refused only for a time. A wrong password is not temporary. */
export function isTemporary(thrown: unknown): boolean {
  const error = thrown instanceof Problem ? thrown.cause : thrown
  const { authenticationFailed, serverResponseCode } = fieldsOf(error)
  if (authenticationFailed !== true) return false
  const hasCode = typeof serverResponseCode === 'string' && serverResponseCode !== 'ALERT'
  return hasCode ? temporaryCodes.has(serverResponseCode) : temporaryTexts.test(reasonOf(error))
}
