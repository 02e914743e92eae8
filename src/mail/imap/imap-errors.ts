// Why no connection to an IMAP server came about, and whether waiting mends it.

import { Problem } from '../../base/problem.ts'
import { type ImapUrl, serverName } from '../mail-url.ts'
import { clearTextProblem, fieldsOf, loginProblem, reasonOf, serverProblem } from '../server-errors.ts'

/** Response codes (RFC 5530, RFC 9051 §7.1) of a login refused whatever the password: too many connections or logins,
 *  a mailbox locked by another program, a server that cannot check passwords just now. */
const passingCodes = new Set(['LIMIT', 'INUSE', 'UNAVAILABLE', 'SERVERBUG'])

/** What Gmail, Exchange and others say in words. */
const passingWords =
  /too many (?:simultaneous|concurrent|connections|logins|requests)|rate limit|throttl|server unavailable|(?:try again|temporar)/i

export function connectProblem(url: ImapUrl, error: unknown): Problem {
  const fields = fieldsOf(error)
  if (isPassing(error)) {
    return new Problem(
      'mail-server',
      `The IMAP server ${serverName(url)} lets nobody in just now: ${reasonOf(error)}.`,
      'It is tried again by itself, ever less often; close other mail programs that use this mailbox.',
      { cause: error },
    )
  }
  if (fields.authenticationFailed === true) return loginProblem('IMAP', url, error)
  if (fields.tlsFailed === true && /not support STARTTLS/i.test(reasonOf(error))) {
    return clearTextProblem('IMAP', url)
  }
  return serverProblem('IMAP', url, error)
}

/** Whether this is a login that was refused for a while only. A wrong password said so outright is not. */
export function isPassing(thrown: unknown): boolean {
  const error = thrown instanceof Problem ? thrown.cause : thrown
  const { authenticationFailed, serverResponseCode } = fieldsOf(error)
  if (authenticationFailed !== true) return false
  const isCoded = typeof serverResponseCode === 'string' && serverResponseCode !== 'ALERT'
  return isCoded ? passingCodes.has(serverResponseCode) : passingWords.test(reasonOf(error))
}
