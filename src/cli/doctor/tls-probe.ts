// Looks at a mail server without logging in: whether it can be reached, how TLS is, when its certificate ends. Mail
// libraries tell the last only to those who are let in, and of faults only the first.

import { isIP, connect as netConnect, type Socket } from 'node:net'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import { messageOf, Problem } from '../../base/problem.ts'
import { isLoopbackHost, serverName, type TlsUse } from '../../mail/mail-url.ts'
import { serverProblem } from '../../mail/server-errors.ts'

export type ProbedUrl = {
  readonly protocol: 'imap' | 'pop3' | 'smtp' | 'mailpit'
  readonly host: string
  readonly port: number
  readonly user: string | null
  readonly tls: TlsUse
}

export type TlsFacts = {
  /** Such as TLSv1.3. */
  readonly version: string
  /** Unix milliseconds; null where the certificate has no date that can be read. */
  readonly endsAt: number | null
}

const limitMs = 15_000
/** Greeting and capabilities of a server. */
const maxCharacters = 16_384

/** What each protocol says before TLS: the question, what an offer of STARTTLS looks like, how to take it. */
const dialogues = {
  imap: {
    ask: 'a CAPABILITY',
    end: /^a (?:OK|NO|BAD)/im,
    offer: /\bSTARTTLS\b/i,
    take: 'b STARTTLS',
    taken: /^b OK/im,
  },
  pop3: { ask: 'CAPA', end: /^(?:\.|-ERR.*)\r?$/im, offer: /^STLS\b/im, take: 'STLS', taken: /^\+OK/im },
  smtp: {
    ask: 'EHLO localhost',
    end: /^\d{3} .*\r?\n/im,
    offer: /^250[ -]STARTTLS/im,
    take: 'STARTTLS',
    taken: /^220 /im,
  },
} as const

/** Null where the connection stays in clear. Rejects with a Problem. */
export async function probeTls(url: ProbedUrl, wallNow: number): Promise<TlsFacts | null> {
  const name = url.protocol === 'mailpit' ? 'Mailpit' : url.protocol.toUpperCase()
  const where = `The ${name} server ${serverName(url)}`
  const socket = netConnect({ host: url.host, port: url.port })
  const lines = new Lines(socket)
  try {
    await lines.connected
    if (url.tls === 'always') {
      lines.detach()
      return await secure(socket, url, where, wallNow)
    }
    if (url.protocol === 'mailpit') return null
    const { ask, end, offer, take, taken } = dialogues[url.protocol]
    await lines.until(/\r?\n/)
    if (url.tls === 'never') return null
    if (!offer.test(await lines.ask(ask, end))) return null
    if (!taken.test(await lines.ask(take, /\r?\n/))) return null
    lines.detach()
    return await secure(socket, url, where, wallNow)
  } catch (thrown) {
    if (thrown instanceof Problem) throw thrown
    throw serverProblem(url.protocol === 'smtp' ? 'SMTP' : 'IMAP', url, thrown)
  } finally {
    socket.destroy()
  }
}

async function secure(socket: Socket, url: ProbedUrl, where: string, wallNow: number): Promise<TlsFacts> {
  const secured = tlsConnect({
    socket,
    rejectUnauthorized: false,
    ...(isIP(url.host) === 0 && { servername: url.host }),
  })
  await new Promise<void>((resolve, reject) => {
    secured.once('secureConnect', resolve)
    secured.once('error', (error) => reject(noTls(where, url, error)))
    secured.once('close', () => reject(noTls(where, url, new Error('the server closed the connection'))))
    secured.setTimeout(limitMs, () => reject(noTls(where, url, new Error('the server says nothing'))))
  })
  // A later error, as when it is destroyed, is nobody's business.
  secured.on('error', () => undefined)
  const certificate = secured.getPeerCertificate()
  const ends = Date.parse(certificate.valid_to ?? '')
  const endsAt = Number.isNaN(ends) ? null : ends
  // To loopback, where clear text is allowed, certificates are not checked either.
  const isChecked = url.tls === 'always' || !isLoopbackHost(url.host)
  if (isChecked && !secured.authorized) throw untrusted(where, url, secured, endsAt, wallNow)
  return { version: secured.getProtocol() ?? 'TLS', endsAt }
}

function noTls(where: string, { protocol, tls }: ProbedUrl, error: Error): Problem {
  const plain = protocol === 'mailpit' ? 'mailpit+http' : protocol
  return new Problem(
    'mail-tls',
    `${where} does not speak TLS there: ${messageOf(error)}.`,
    tls === 'always'
      ? `Write ${plain}: without the s if this port begins in clear, or name the port that speaks TLS from the start.`
      : 'Look into the log of the mail server; its STARTTLS is broken.',
    { cause: error },
  )
}

function untrusted(
  where: string,
  url: ProbedUrl,
  socket: TLSSocket,
  endsAt: number | null,
  wallNow: number,
): Problem {
  // Types say Error; Node gives the code as text.
  const fault: unknown = socket.authorizationError
  const code =
    typeof fault === 'object' && fault !== null && 'code' in fault ? String(fault.code) : String(fault)
  const ended = endsAt !== null && endsAt < wallNow ? `, and it ended on ${dayOf(endsAt)}` : ''
  const problem = (what: string, remedy: string) =>
    new Problem('mail-tls', `${where} has a certificate ${what}.`, remedy)
  if (code === 'CERT_HAS_EXPIRED') {
    return problem(
      `that ended on ${endsAt === null ? 'a day that cannot be read' : dayOf(endsAt)}`,
      'Have it renewed on the mail server, or set the clock of this computer right if it is not that day yet.',
    )
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return problem('that is not valid yet', 'Set the clock of this computer right.')
  }
  if (/ALTNAME/.test(code)) {
    const names = socket.getPeerCertificate().subjectaltname ?? 'other names'
    return problem(
      `for other names (${names.slice(0, 200)}) than ${url.host}${ended}`,
      'Write one of these names as the server in the URL.',
    )
  }
  if (/SELF_SIGNED/.test(code)) {
    return problem(
      `that nobody has vouched for (self-signed)${ended}`,
      'If the server is your own, start peerpost with NODE_EXTRA_CA_CERTS=FILE naming its certificate, or get one from an authority such as Let’s Encrypt. If not, do not use it.',
    )
  }
  return problem(
    `that cannot be trusted (${code})${ended}`,
    'The server may leave out a certificate between its own and the authority’s; NODE_EXTRA_CA_CERTS=FILE names an authority of your own.',
  )
}

export function dayOf(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(0, 10)
}

/** What a server says in clear, up to a bound. */
class Lines {
  readonly #socket: Socket
  readonly connected: Promise<void>
  #text = ''
  #failure: Error | null = null
  #wake = () => {}

  constructor(socket: Socket) {
    this.#socket = socket
    this.connected = new Promise((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
      socket.once('timeout', () => reject(new Error('the server does not answer')))
    })
    socket.setTimeout(limitMs, () => this.#fail(new Error('the server says nothing')))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the server closed the connection')))
    socket.on('data', this.#read)
  }

  ask(line: string, end: RegExp): Promise<string> {
    this.#text = ''
    this.#socket.write(`${line}\r\n`)
    return this.until(end)
  }

  async until(end: RegExp): Promise<string> {
    while (!end.test(this.#text)) {
      if (this.#failure) throw this.#failure
      if (this.#text.length > maxCharacters) throw new Error('the server talks too much')
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#text
  }

  /** What comes now is not ours to read. */
  detach(): void {
    this.#socket.off('data', this.#read)
  }

  readonly #read = (bytes: Buffer): void => {
    this.#text += bytes.toString('latin1')
    this.#wake()
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#wake()
  }
}
