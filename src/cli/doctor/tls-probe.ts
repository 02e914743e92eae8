// Connects to a mail server without login, to check TLS and the end of its certificate. Mail libraries report the end only
// after a login, and only the first fault.

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
  /** Unix ms; null when the certificate has no valid date. */
  readonly endsAt: number | null
}

const limitMs = 15_000
/** Enough for the greeting and the capabilities of a server. */
const maxCharacters = 16_384

/** The commands of each protocol before TLS: capabilities, the offer of STARTTLS, and STARTTLS itself. */
const dialogues = {
  imap: {
    capability: 'a CAPABILITY',
    end: /^a (?:OK|NO|BAD)/im,
    offer: /\bSTARTTLS\b/i,
    startTls: 'b STARTTLS',
    accepted: /^b OK/im,
  },
  pop3: {
    capability: 'CAPA',
    end: /^(?:\.|-ERR.*)\r?$/im,
    offer: /^STLS\b/im,
    startTls: 'STLS',
    accepted: /^\+OK/im,
  },
  smtp: {
    capability: 'EHLO localhost',
    end: /^\d{3} .*\r?\n/im,
    offer: /^250[ -]STARTTLS/im,
    startTls: 'STARTTLS',
    accepted: /^220 /im,
  },
} as const

/** Null when the connection has no TLS. Rejects with a Problem. */
export async function probeTls(url: ProbedUrl, wallNow: number): Promise<TlsFacts | null> {
  const name = url.protocol === 'mailpit' ? 'Mailpit' : url.protocol.toUpperCase()
  const where = `The ${name} server ${serverName(url)}`
  const socket = netConnect({ host: url.host, port: url.port })
  const dialogue = new PlainDialogue(socket)
  try {
    await dialogue.connected
    if (url.tls === 'always') {
      dialogue.detach()
      return await secure(socket, url, where, wallNow)
    }
    if (url.protocol === 'mailpit') return null
    const { capability, end, offer, startTls, accepted } = dialogues[url.protocol]
    await dialogue.until(/\r?\n/)
    if (url.tls === 'never') return null
    if (!offer.test(await dialogue.command(capability, end))) return null
    if (!accepted.test(await dialogue.command(startTls, /\r?\n/))) return null
    dialogue.detach()
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
    secured.setTimeout(limitMs, () => reject(noTls(where, url, new Error('the server does not answer'))))
  })
  // Later errors do not matter, such as those of destroying the socket.
  secured.on('error', () => undefined)
  const certificate = secured.getPeerCertificate()
  const ends = Date.parse(certificate.valid_to ?? '')
  const endsAt = Number.isNaN(ends) ? null : ends
  // On loopback, where STARTTLS is optional, certificates are not checked.
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
      ? `Write ${plain}: without the s if this port begins without TLS, or name the port that speaks TLS from the start.`
      : 'Check the log of the mail server: its STARTTLS does not work.',
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
  // The type is Error, but Node may give the code as text.
  const fault: unknown = socket.authorizationError
  const code =
    typeof fault === 'object' && fault !== null && 'code' in fault ? String(fault.code) : String(fault)
  const ended = endsAt !== null && endsAt < wallNow ? `, and it ended on ${dayOf(endsAt)}` : ''
  const problem = (what: string, remedy: string) =>
    new Problem('mail-tls', `${where} has a certificate ${what}.`, remedy)
  if (code === 'CERT_HAS_EXPIRED') {
    return problem(
      `that ended on ${endsAt === null ? 'a day that cannot be read' : dayOf(endsAt)}`,
      'Have it renewed on the mail server, or correct the clock of this computer.',
    )
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return problem('that is not valid yet', 'Correct the clock of this computer.')
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
      `that no authority has signed (self-signed)${ended}`,
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

/** The commands and answers before TLS. Answers have a maximum length. */
class PlainDialogue {
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
    socket.setTimeout(limitMs, () => this.#fail(new Error('the server does not answer')))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the server closed the connection')))
    socket.on('data', this.#read)
  }

  /** Sends a line and returns the answer when it matches `end`. */
  command(line: string, end: RegExp): Promise<string> {
    this.#text = ''
    this.#socket.write(`${line}\r\n`)
    return this.until(end)
  }

  async until(end: RegExp): Promise<string> {
    while (!end.test(this.#text)) {
      if (this.#failure) throw this.#failure
      if (this.#text.length > maxCharacters) throw new Error('the answer of the server is too long')
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#text
  }

  /** Stops reading: TLS reads the following bytes. */
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
