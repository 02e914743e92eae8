// What went wrong with a mail server, as a person can act on it. One table for all protocols: their
// libraries pass on the same codes of the socket, TLS and DNS layers.

import { messageOf, Problem } from '../base/problem.ts'
import { serverName } from './mail-url.ts'

type MailProtocol = 'IMAP' | 'POP3' | 'SMTP' | 'Mailpit'

export type ServerPlace = { readonly host: string; readonly port: number; readonly user: string | null }

/** The fields that Node, imapflow and nodemailer put on their errors. */
type ServerError = {
  readonly code?: unknown
  /** What Node said, where nodemailer put a word of its own into `code`. */
  readonly originalCode?: unknown
  readonly responseCode?: unknown
  readonly response?: unknown
  readonly responseText?: unknown
  readonly responseStatus?: unknown
  readonly serverResponseCode?: unknown
  readonly authenticationFailed?: unknown
  readonly tlsFailed?: unknown
  readonly command?: unknown
  readonly syscall?: unknown
  /** Which of nodemailer's time limits it was. */
  readonly timeoutType?: unknown
  readonly cause?: unknown
}

export function fieldsOf(error: unknown): ServerError {
  return typeof error === 'object' && error !== null ? (error as ServerError) : {}
}

function codeOf(error: unknown): string {
  const { code, originalCode } = fieldsOf(error)
  return typeof originalCode === 'string' ? originalCode : typeof code === 'string' ? code : ''
}

/** What the server or the socket said, on one line of bounded length, without a full stop. */
export function reasonOf(error: unknown): string {
  const { responseText, response } = fieldsOf(error)
  const said = typeof responseText === 'string' ? responseText : typeof response === 'string' ? response : ''
  const text = (said.trim() === '' ? messageOf(error) : messageOf(said)).replace(/\.+$/, '')
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

// Certificate faults as OpenSSL names them, and what talking TLS to a plain port (or the reverse) looks like.
const tlsCode =
  /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|^ERR_TLS|^ERR_SSL|^EPROTO$|^ETLS$|STARTTLS_INJECTION|ClosedAfterConnectTLS|UPGRADE_TIMEOUT/

function isTlsFault(error: unknown): boolean {
  return fieldsOf(error).tlsFailed === true || tlsCode.test(codeOf(error))
}

/** A Problem that names the server and what to do. */
export function serverProblem(what: MailProtocol, place: ServerPlace, error: unknown): Problem {
  if (error instanceof Problem) return error
  const server = `The ${what} server ${serverName(place)}`
  const code = codeOf(error)
  const cause = { cause: error }
  if (isTlsFault(error)) {
    return new Problem(
      'mail-tls',
      `${server} could not be reached over TLS that can be trusted: ${reasonOf(error)}.`,
      `Check the name in the URL and the scheme (${secureScheme(what)} is TLS from the start), or add ?tls=never to the plain scheme where the network is your own.`,
      cause,
    )
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EDNS') {
    return new Problem(
      'mail-connection',
      `There is no host named ${place.host} to be found.`,
      'Check the spelling of the server name and that this machine has a working DNS.',
      cause,
    )
  }
  if (code === 'ECONNREFUSED') {
    return new Problem(
      'mail-connection',
      `${server} refuses the connection.`,
      'Check the port in the URL and that the server is running.',
      cause,
    )
  }
  return new Problem(
    'mail-connection',
    `${server} cannot be used: ${reasonOf(error)}.`,
    'Check the server name, the port and the network.',
    cause,
  )
}

function secureScheme(what: MailProtocol): string {
  return what === 'Mailpit' ? 'mailpit+https:' : `${what.toLowerCase()}s:`
}

export function loginProblem(what: MailProtocol, place: ServerPlace, error: unknown): Problem {
  return new Problem(
    'mail-login',
    `The ${what} server ${serverName(place)} does not let ${place.user ?? 'us'} in: ${reasonOf(error)}.`,
    'Check the user name and password; many providers want an app password made for mail programs.',
    { cause: error },
  )
}

export function clearTextProblem(what: MailProtocol, place: ServerPlace): Problem {
  return new Problem(
    'mail-tls',
    `The ${what} server ${serverName(place)} offers no TLS, and a password is not sent to it in clear.`,
    `Use ${secureScheme(what)} if it has a TLS port, or add ?tls=never to the URL where the network is your own.`,
  )
}
