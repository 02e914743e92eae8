// The mail URLs of config files and the command line: where letters are read and where they are sent.

import { addressScope, canonicalAddress } from '../base/endpoint.ts'
import { Problem } from '../base/problem.ts'

/** `never`: stay in clear even where the server offers TLS. `offered`: STARTTLS; plain HTTP has none. `always`: TLS from
 *  the start. */
export type TlsUse = 'always' | 'offered' | 'never'

type Server = {
  /** A name or an IP address; IPv6 without brackets. */
  readonly host: string
  readonly port: number
  /** Null: log in without a name (SMTP on loopback). */
  readonly user: string | null
  /** Null: not in the URL, it comes from a secret file. */
  readonly password: string | null
  readonly tls: TlsUse
}

export type ImapUrl = Server & { readonly protocol: 'imap'; readonly folder: string }
export type Pop3Url = Server & {
  readonly protocol: 'pop3'
  /** Between two looks; null: as the provider bears it. */
  readonly pollMs: number | null
}
export type SmtpUrl = Server & { readonly protocol: 'smtp' }
/** `path` is where Mailpit's root is mounted, with neither leading nor trailing slash. */
export type MailpitUrl = Server & { readonly protocol: 'mailpit'; readonly path: string }
type MaildirUrl = { readonly protocol: 'maildir'; readonly folder: string }

export type ReceiveUrl = ImapUrl | Pop3Url | MailpitUrl | MaildirUrl
export type SendUrl = SmtpUrl
export type MailUrl = ReceiveUrl | SendUrl

type Scheme = {
  readonly protocol: 'imap' | 'pop3' | 'smtp' | 'mailpit'
  readonly tls: TlsUse
  readonly port: number
}

// Submission (RFC 6409, RFC 8314), not relay: nobody sends through port 25 from home.
const schemes: Readonly<Record<string, Scheme>> = {
  imap: { protocol: 'imap', tls: 'offered', port: 143 },
  imaps: { protocol: 'imap', tls: 'always', port: 993 },
  pop3: { protocol: 'pop3', tls: 'offered', port: 110 },
  pop3s: { protocol: 'pop3', tls: 'always', port: 995 },
  smtp: { protocol: 'smtp', tls: 'offered', port: 587 },
  smtps: { protocol: 'smtp', tls: 'always', port: 465 },
  'mailpit+http': { protocol: 'mailpit', tls: 'offered', port: 8025 },
  'mailpit+https': { protocol: 'mailpit', tls: 'always', port: 8025 },
}

const settingsOf = {
  imap: ['tls', 'folder'],
  pop3: ['tls', 'poll'],
  smtp: ['tls'],
  mailpit: ['tls'],
} as const

const receiveForms = 'imap:, imaps:, pop3:, pop3s:, mailpit+http:, mailpit+https: or maildir:'
const example = 'Write it like imaps://user%40example.org:password@mail.example.org'

/** Reads the URL of a mailbox; throws a Problem `config` that never shows a password. */
export function parseReceiveUrl(text: string): ReceiveUrl {
  if (/^maildir:/i.test(text)) return parseMaildirUrl(text)
  const url = parseServerUrl(text)
  if (url.protocol === 'smtp') {
    throw fault(text, 'sends mail, it does not receive any', `Use ${receiveForms}.`)
  }
  return url
}

/** Reads the URL of the server that takes our mail; throws a Problem `config` that never shows a password. */
export function parseSendUrl(text: string): SendUrl {
  const url = /^maildir:/i.test(text) ? parseMaildirUrl(text) : parseServerUrl(text)
  if (url.protocol !== 'smtp')
    throw fault(text, 'receives mail, it does not send any', 'Use smtp: or smtps:.')
  return url
}

function parseServerUrl(text: string): Exclude<MailUrl, MaildirUrl> {
  const name = /^([a-z0-9+]+):/i.exec(text)?.[1]?.toLowerCase()
  const scheme = name === undefined || !Object.hasOwn(schemes, name) ? undefined : schemes[name]
  if (!scheme || name === undefined) {
    throw fault(text, 'is of no kind this program knows', `Use ${receiveForms}; smtp: or smtps: to send.`)
  }
  // The WHATWG parser treats host and port of unknown schemes as opaque: let it see http instead.
  const parsed = URL.parse(
    text
      .trim()
      .replace(/^[^:]*:(?!\/\/)/, '$&//')
      .replace(/^[^:]*:/, 'http:'),
  )
  if (!parsed || parsed.hostname === '')
    throw fault(text, 'has no server name that can be read', `${example}.`)
  const server: Server = {
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: explicitPort(text) ?? scheme.port,
    user: decoded(text, parsed.username, 'user name'),
    password: decoded(text, parsed.password, 'password'),
    tls: tlsUse(text, scheme, parsed.searchParams),
  }
  if (server.port === 0) throw fault(text, 'has port 0', 'Give the port of the server or leave it out.')
  if (server.user === null && server.password !== null) {
    throw fault(text, 'has a password but no user name', `${example}.`)
  }
  const allowed = settingsOf[scheme.protocol]
  for (const key of parsed.searchParams.keys()) {
    if (!(allowed as readonly string[]).includes(key))
      throw fault(text, `has an unknown setting "${key}"`, `Known: ${allowed.join(', ')}.`)
  }
  if (scheme.protocol === 'mailpit') {
    return { protocol: 'mailpit', ...server, path: parsed.pathname.replace(/^\/+|\/+$/g, '') }
  }
  if (parsed.pathname !== '/' && parsed.pathname !== '') {
    throw fault(text, 'has a path after the server name', 'An IMAP folder is given as ?folder=NAME.')
  }
  if (scheme.protocol === 'pop3')
    return { protocol: 'pop3', ...server, pollMs: pollMs(text, parsed.searchParams) }
  if (scheme.protocol === 'smtp') return { protocol: 'smtp', ...server }
  if (server.user === null) throw fault(text, 'has no user name', `${example}.`)
  const folder = parsed.searchParams.get('folder') ?? 'INBOX'
  if (folder === '' || hasControl(folder)) throw fault(text, 'has no usable folder name', 'Use ?folder=NAME.')
  return { protocol: 'imap', ...server, folder }
}

/** `maildir:/absolute/folder` or `maildir:relative/folder`, percent-encoded where needed. */
function parseMaildirUrl(text: string): MaildirUrl {
  const path = text.trim().replace(/^maildir:(\/\/(?=\/))?/i, '')
  const folder = decoded(text, path, 'folder')
  if (folder === null) throw fault(text, 'names no folder', 'Write it like maildir:/var/mail/host.')
  return { protocol: 'maildir', folder }
}

function explicitPort(text: string): number | undefined {
  const authority = /^[^:]*:(?:\/\/)?([^/?#]*)/.exec(text.trim())?.[1] ?? ''
  const digits = /:([0-9]+)$/.exec(authority.slice(authority.lastIndexOf('@') + 1))?.[1]
  return digits === undefined ? undefined : Number(digits)
}

function tlsUse(text: string, scheme: Scheme, settings: URLSearchParams): TlsUse {
  const wanted = settings.get('tls')
  if (wanted === null) return scheme.tls
  if (wanted !== 'never')
    throw fault(text, 'has a tls setting other than "never"', 'Use ?tls=never or leave it out.')
  if (scheme.tls === 'always') {
    throw fault(text, 'asks for TLS and for none', 'Use the scheme without the s, or drop ?tls=never.')
  }
  return 'never'
}

function pollMs(text: string, settings: URLSearchParams): number | null {
  const wanted = settings.get('poll')
  if (wanted === null) return null
  const seconds = /^\d{1,4}$/.test(wanted) ? Number(wanted) : 0
  if (seconds < 1 || seconds > 3600) {
    throw fault(text, 'has a poll setting that is no number of seconds', 'Write ?poll=30, from 1 to 3600.')
  }
  return seconds * 1_000
}

function decoded(text: string, part: string, what: string): string | null {
  if (part === '') return null
  let plain: string
  try {
    plain = decodeURIComponent(part)
  } catch {
    throw fault(
      text,
      `has a ${what} that is not percent-encoded rightly`,
      'Write % as %25, @ as %40, : as %3A.',
    )
  }
  if (hasControl(plain)) throw fault(text, `has a control character in its ${what}`, 'Take it out.')
  return plain
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}

function fault(text: string, what: string, remedy: string): Problem {
  return new Problem('config', `The mail URL ${redactMailUrl(text)} ${what}.`, remedy)
}

/** The URL with its password as `***`, for messages and logs. Works on text that is no URL, too. */
export function redactMailUrl(text: string): string {
  const trimmed = text.trim()
  const name = /^([a-z0-9+]*):(?:\/\/)?/i.exec(trimmed)
  const isScheme = name && (name[0].endsWith('//') || Object.hasOwn(schemes, (name[1] ?? '').toLowerCase()))
  const start = isScheme ? name[0].length : 0
  // Up to the last @: a password with a raw @ or / in it must not show.
  const at = trimmed.lastIndexOf('@')
  const colon = trimmed.indexOf(':', start)
  const shown = colon < 0 || colon > at ? trimmed : `${trimmed.slice(0, colon)}:***${trimmed.slice(at)}`
  return shown.length > 200 ? `${shown.slice(0, 200)}…` : shown
}

/** Prints a URL that parses to the same value. `withPassword` false leaves the password out, not a mask. */
export function formatMailUrl(url: MailUrl, { withPassword }: { withPassword: boolean }): string {
  if (url.protocol === 'maildir')
    return `maildir:${encodeURI(url.folder).replace(/[?#]/g, encodeURIComponent)}`
  const name = schemeName(url)
  const password = withPassword && url.password !== null ? `:${encodeURIComponent(url.password)}` : ''
  const login = url.user === null ? '' : `${encodeURIComponent(url.user)}${password}@`
  const host = url.host.includes(':') ? `[${url.host}]` : url.host
  const port = schemes[name]?.port === url.port ? '' : `:${url.port}`
  const path = url.protocol === 'mailpit' && url.path !== '' ? `/${url.path}` : ''
  const settings: string[] = []
  if (url.tls === 'never') settings.push('tls=never')
  if (url.protocol === 'imap' && url.folder !== 'INBOX')
    settings.push(`folder=${encodeURIComponent(url.folder)}`)
  if (url.protocol === 'pop3' && url.pollMs !== null) settings.push(`poll=${url.pollMs / 1_000}`)
  return `${name}://${login}${host}${port}${path}${settings.length > 0 ? `?${settings.join('&')}` : ''}`
}

function schemeName({ protocol, tls }: Exclude<MailUrl, MaildirUrl>): string {
  const secure = tls === 'always' ? 's' : ''
  return protocol === 'mailpit' ? `mailpit+http${secure}` : `${protocol}${secure}`
}

/** The same URL with the password of a secret file, where the URL itself has none. */
export function withPassword<T extends MailUrl>(url: T, password: string): T {
  return url.protocol === 'maildir' || url.password !== null ? url : { ...url, password }
}

/** Whether a password may travel to this server in clear. */
export function mayStayInClear({ host, tls }: Server): boolean {
  return tls === 'never' || isLoopbackHost(host)
}

export function isLoopbackHost(host: string): boolean {
  if (/^(?:.+\.)?localhost$/i.test(host)) return true
  const address = canonicalAddress(host)
  return address !== null && addressScope(address) === 'loopback'
}

/** `host:port` as messages name a server. */
export function serverName({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
