// A POP3 client of our own (docs/decisions/2026-11-24-own-pop3.md), one connection after login (RFC 1939, 2449, 2595).
// It lists mails, reads headers and mails, and marks mails for deletion. Only `quit` deletes marked mails. A lost
// connection deletes nothing.

import { connect, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Clock } from '../../base/clock.ts'
import type { Credentials } from '../auth/credentials.ts'
import { allowsClearText, isLoopbackHost, type Pop3Url } from '../mail-url.ts'
import { headerLimitBytes } from '../mime/parse-mail.ts'
import { noTls, Pop3Refusal, pop3Problem } from './pop3-errors.ts'
import { loginPop3 } from './pop3-login.ts'
import { type Pop3Answer, type Pop3Form, Pop3ResponseParser } from './pop3-response-parser.ts'

export type Pop3ConnectionTiming = {
  readonly connectMs: number
  /** From the end of the previous answer to the end of this answer. */
  readonly answerMs: number
}

export type Pop3Mail = { readonly number: number; readonly uid: string; readonly sizeBytes: number }

/** Mails of a maildrop, at most. To list more at each poll costs too much; IMAP can search instead. */
const mostPop3Mails = 100_000
const mostListBytes = mostPop3Mails * 80
/** Commands without an answer at the same time, if the server allows pipelining (RFC 2449 §6.8). */
export const pop3Pipeline = 50

type Waiting = {
  readonly form: Pop3Form
  /** Null: the greeting, which needs no command. */
  readonly line: string | null
  readonly resolve: (answer: Pop3Answer) => void
  readonly reject: (error: unknown) => void
}

/** Connects and logs in. Rejects with a Problem, which never contains the password. */
export async function connectPop3(
  url: Pop3Url,
  login: Credentials,
  clock: Clock,
  timing: Pop3ConnectionTiming,
): Promise<Pop3Client> {
  const connection = new Pop3Client(url, clock, timing)
  try {
    await connection.open(login)
    return connection
  } catch (error) {
    connection.destroy()
    throw pop3Problem(url, error)
  }
}

export class Pop3Client {
  /** Called once if the connection is lost, but not if we end it. */
  onLost: (error: unknown) => void = () => undefined
  readonly #url: Pop3Url
  readonly #clock: Clock
  readonly #timing: Pop3ConnectionTiming
  #socket: Socket | TLSSocket | null = null
  readonly #parser = new Pop3ResponseParser()
  /** Commands without an answer, in order: first those that were sent, then those that wait to be sent. */
  #waiting: Waiting[] = []
  #sent = 0
  #cancelTimer: () => void = () => undefined
  #failure: unknown = null
  #capabilities = new Map<string, string>()

  constructor(url: Pop3Url, clock: Clock, timing: Pop3ConnectionTiming) {
    this.#url = url
    this.#clock = clock
    this.#timing = timing
  }

  /** Names in upper case, with their arguments. Empty if the server does not know CAPA. */
  get capabilities(): ReadonlyMap<string, string> {
    return this.#capabilities
  }

  async open(login: Credentials): Promise<void> {
    const { host, port, tls } = this.#url
    const servername = this.#serverName()
    const socket = tls === 'always' ? connectTls({ host, port, ...servername }) : connect({ host, port })
    const greeting = this.#expect({ form: 'line' }, null, this.#timing.connectMs)
    this.#useSocket(socket)
    await accepted(greeting)
    await this.#readCapabilities()
    if (tls === 'offered') await this.#upgrade()
    await loginPop3(this, this.#url, login)
    await this.#readCapabilities()
  }

  /** Sends a command and returns the answer, +OK or -ERR. */
  command(line: string, form: Pop3Form = { form: 'line' }): Promise<Pop3Answer> {
    return this.#expect(form, line, this.#timing.answerMs)
  }

  async uidList(): Promise<Pop3Mail[]> {
    const sizes = new Map<number, number>()
    const [uids, list] = await Promise.all([this.#lines('UIDL'), this.#lines('LIST')])
    for (const [number, size] of list) sizes.set(number, Number(size))
    return uids.flatMap(([number, uid]) => {
      const sizeBytes = sizes.get(number)
      return sizeBytes === undefined || !Number.isSafeInteger(sizeBytes) ? [] : [{ number, uid, sizeBytes }]
    })
  }

  /** Number and total size of the mails, as text. */
  async stat(): Promise<string> {
    return (await accepted(this.command('STAT'))).text
  }

  /** The header and this many lines of the body, truncated to a limit. Null if the mail is gone. Does not mark the
   *  mail as read, unlike `retrieve`. */
  async top({ number }: Pop3Mail, lines: number): Promise<Uint8Array | null> {
    const mostBytes = lines === 0 ? headerLimitBytes : 2 * headerLimitBytes
    const answer = await this.command(`TOP ${number} ${lines}`, { form: 'lines', mostBytes })
    return answer.ok ? answer.body : null
  }

  /** The mail, truncated to `mostBytes` and one more byte. Null if it is gone. */
  async retrieve({ number }: Pop3Mail, mostBytes: number): Promise<Uint8Array | null> {
    const answer = await this.command(`RETR ${number}`, { form: 'lines', mostBytes: mostBytes + 1 })
    return answer.ok ? answer.body : null
  }

  /** Does not fail if the mail is gone already. */
  async markDeleted(number: number): Promise<void> {
    await this.command(`DELE ${number}`)
  }

  /** Deletes the marked mails. Rejects if the server does not confirm it. */
  async quit(): Promise<void> {
    this.onLost = () => undefined
    try {
      await accepted(this.command('QUIT'))
    } catch (error) {
      throw pop3Problem(this.#url, error)
    } finally {
      this.destroy()
    }
  }

  destroy(): void {
    this.onLost = () => undefined
    this.#fail(new Error('the connection was closed'))
  }

  async #lines(command: string): Promise<(readonly [number: number, rest: string])[]> {
    const answer = await this.command(command, { form: 'lines', mostBytes: mostListBytes })
    if (!answer.ok) throw new Pop3Refusal('NO-IDS', `it does not list its mails (${command}: ${answer.text})`)
    const lines = Buffer.from(answer.body).toString('latin1').split('\r\n')
    if (answer.truncated || lines.length > mostPop3Mails) {
      throw new Pop3Refusal('TOO-MANY', `it holds more than ${mostPop3Mails} mails`)
    }
    return lines.flatMap((line) => {
      const match = /^(\d{1,9}) +([!-~]{1,100})/.exec(line)
      return match?.[1] && match[2] ? [[Number(match[1]), match[2]] as const] : []
    })
  }

  async #readCapabilities(): Promise<void> {
    const answer = await this.command('CAPA', { form: 'lines', mostBytes: 8_192 })
    const lines = answer.ok ? Buffer.from(answer.body).toString('latin1').split('\r\n') : []
    this.#capabilities = new Map(
      lines.map((line) => {
        const [name = '', ...rest] = line.trim().split(/\s+/)
        return [name.toUpperCase(), rest.join(' ')]
      }),
    )
  }

  async #upgrade(): Promise<void> {
    if (!this.#capabilities.has('STLS')) {
      if (allowsClearText(this.#url)) return
      throw noTls(this.#url)
    }
    await accepted(this.command('STLS'))
    // Bytes before the handshake are not protected by TLS and could be injected (as in CVE-2011-0411).
    if (!this.#parser.isIdle) throw new Error('it sent something before TLS began')
    const plain = this.#socket
    if (!plain) throw this.#failure
    plain.removeAllListeners()
    // To loopback even clear text is allowed, so a self-signed certificate is accepted there.
    const rejectUnauthorized = !isLoopbackHost(this.#url.host)
    const secure = connectTls({ socket: plain, ...this.#serverName(), rejectUnauthorized })
    this.#useSocket(secure)
    await this.#readCapabilities()
  }

  #serverName(): { servername?: string } {
    const { host } = this.#url
    // Server Name Indication allows only names (RFC 6066 §3).
    return /^[\d.]+$|:/.test(host) ? {} : { servername: host }
  }

  #useSocket(socket: Socket | TLSSocket): void {
    this.#socket = socket
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the server closed the connection')))
    socket.on('data', (chunk: Buffer) => {
      this.#parser.push(chunk)
      this.#readAnswers()
    })
  }

  #expect(form: Pop3Form, line: string | null, limitMs: number): Promise<Pop3Answer> {
    if (this.#failure !== null) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ form, line, resolve, reject })
      if (this.#waiting.length === 1) this.#startTimer(limitMs)
      this.#sendWaiting()
    })
  }

  #sendWaiting(): void {
    const most = this.#capabilities.has('PIPELINING') ? pop3Pipeline : 1
    while (this.#sent < Math.min(most, this.#waiting.length)) {
      const { line } = this.#waiting[this.#sent++] as Waiting
      if (line !== null) this.#socket?.write(`${line}\r\n`)
    }
  }

  #readAnswers(): void {
    try {
      for (;;) {
        const [next] = this.#waiting
        const answer = next && this.#sent > 0 ? this.#parser.take(next.form) : null
        if (!next || !answer) return
        this.#waiting.shift()
        this.#sent--
        this.#cancelTimer()
        if (this.#waiting.length > 0) this.#startTimer(this.#timing.answerMs)
        next.resolve(answer)
        this.#sendWaiting()
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  #startTimer(limitMs: number): void {
    this.#cancelTimer = this.#clock.after(limitMs, () =>
      this.#fail(new Error(`it has not answered for ${Math.round(limitMs / 1000)} s`)),
    )
  }

  #fail(error: unknown): void {
    if (this.#failure !== null) return
    this.#failure = error
    this.#cancelTimer()
    this.#socket?.destroy()
    for (const { reject } of this.#waiting.splice(0)) reject(error)
    this.onLost(error)
  }
}

/** Returns the answer if it is +OK, or else rejects with the text of the server. */
export async function accepted(answering: Promise<Pop3Answer>): Promise<Pop3Answer> {
  const answer = await answering
  if (answer.ok) return answer
  throw Pop3Refusal.of(answer.text)
}
