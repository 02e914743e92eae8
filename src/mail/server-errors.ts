// Adds to the errors of Node, imapflow and nodemailer: a Problem with a remedy.
// All libraries pass on the same codes of socket, TLS and DNS, so one table serves all protocols.

import { messageOf, Problem } from '../base/problem.ts'
import { serverName } from './mail-url.ts'

type MailProtocol = 'IMAP' | 'POP3' | 'SMTP' | 'Mailpit'

export type ServerAddress = { readonly host: string; readonly port: number; readonly user: string | null }

/** The fields of errors of Node, imapflow and nodemailer. */
type ServerError = {
  readonly code?: unknown
  /** Node's code, if nodemailer replaced `code` by its own. */
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
  /** The name of the time limit in nodemailer. */
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

/** The text of the server or the socket: one line of limited length, without a full stop. */
export function reasonOf(error: unknown): string {
  const { responseText, response } = fieldsOf(error)
  const answer =
    typeof responseText === 'string' ? responseText : typeof response === 'string' ? response : ''
  const text = (answer.trim() === '' ? messageOf(error) : messageOf(answer)).replace(/\.+$/, '')
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

// OpenSSL's names of certificate faults, and the errors of TLS on a plain port or the reverse.
const tlsCode =
  /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|^ERR_TLS|^ERR_SSL|^EPROTO$|^ETLS$|STARTTLS_INJECTION|ClosedAfterConnectTLS|UPGRADE_TIMEOUT/

function isTlsFault(error: unknown): boolean {
  return fieldsOf(error).tlsFailed === true || tlsCode.test(codeOf(error))
}

/** A Problem with the server's name and a remedy. */
export function serverProblem(what: MailProtocol, address: ServerAddress, error: unknown): Problem {
  if (error instanceof Problem) return error
  const server = `The ${what} server ${serverName(address)}`
  const code = codeOf(error)
  const cause = { cause: error }
  if (isTlsFault(error)) {
    return new Problem(
      'mail-tls',
      `${server} could not be reached over TLS that can be trusted: ${reasonOf(error)}.`,
      `Check the name in the URL and the scheme (${secureScheme(what)} is TLS from the start), or add ?tls=never to the plain scheme if the network is your own.`,
      cause,
    )
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'EDNS') {
    return new Problem(
      'mail-connection',
      `There is no host named ${address.host}.`,
      'Check the spelling of the server name, and that DNS works on this computer.',
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

export function loginProblem(what: MailProtocol, address: ServerAddress, error: unknown): Problem {
  return new Problem(
    'mail-login',
    `The ${what} server ${serverName(address)} does not let ${address.user ?? 'us'} in: ${reasonOf(error)}.`,
    'Check the user name and password. Many providers demand an app password for mail programs.',
    { cause: error },
  )
}

export function clearTextProblem(what: MailProtocol, address: ServerAddress): Problem {
  return new Problem(
    'mail-tls',
    `The ${what} server ${serverName(address)} offers no TLS, and a password is not sent to it in clear.`,
    `Use ${secureScheme(what)} if it has a TLS port, or add ?tls=never to the URL if the network is your own.`,
  )
}
