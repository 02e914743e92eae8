// One connection to a POP3 server, logged in (RFC 1939, 2449, 2595): list, read headers, read, mark for deletion.
// What is marked is deleted by `quit` alone; a connection that is lost deletes nothing.

import { connect, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Clock } from '../../base/clock.ts'
import type { Credentials } from '../auth/credentials.ts'
import { isLoopbackHost, mayStayInClear, type Pop3Url } from '../mail-url.ts'
import { headerLimitBytes } from '../mime/parse-mail.ts'
import { noTls, Pop3Refusal, pop3Problem } from './pop3-errors.ts'
import { loginPop3 } from './pop3-login.ts'
import { type Pop3Answer, type Pop3Form, Pop3ResponseParser } from './pop3-response-parser.ts'

export type Pop3ConnectionTiming = {
  readonly connectMs: number
  /** From a command being the next to be answered to the end of its answer. */
  readonly answerMs: number
}

export type Pop3Mail = { readonly number: number; readonly uid: string; readonly sizeBytes: number }

/** Mails of a maildrop that are looked at. Listing more at each look costs too much: IMAP searches instead. */
const mostPop3Mails = 100_000
const mostListBytes = mostPop3Mails * 80
/** Commands under way at once where the server allows it (RFC 2449 §6.8). */
export const pop3Pipeline = 50

type Waiting = {
  readonly form: Pop3Form
  /** Null: the greeting, which comes by itself. */
  readonly line: string | null
  readonly resolve: (answer: Pop3Answer) => void
  readonly reject: (error: unknown) => void
}

/** Connects and logs in; rejects with a Problem that shows no password. */
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
  /** Called once when the connection is lost, not when it is ended. */
  onLost: (error: unknown) => void = () => undefined
  readonly #url: Pop3Url
  readonly #clock: Clock
  readonly #timing: Pop3ConnectionTiming
  #socket: Socket | TLSSocket | null = null
  readonly #reader = new Pop3ResponseParser()
  /** Written and not answered yet, in their order; then those that wait to be written. */
  #waiting: Waiting[] = []
  #written = 0
  #cancelTimer: () => void = () => undefined
  #failure: unknown = null
  #capabilities = new Map<string, string>()

  constructor(url: Pop3Url, clock: Clock, timing: Pop3ConnectionTiming) {
    this.#url = url
    this.#clock = clock
    this.#timing = timing
  }

  /** Names in upper case, with what stands behind them. Empty where the server knows no CAPA. */
  get capabilities(): ReadonlyMap<string, string> {
    return this.#capabilities
  }

  async open(login: Credentials): Promise<void> {
    const { host, port, tls } = this.#url
    const servername = this.#serverName()
    const socket = tls === 'always' ? connectTls({ host, port, ...servername }) : connect({ host, port })
    const greeting = this.#expect({ form: 'line' }, null, this.#timing.connectMs)
    this.#attach(socket)
    await accepted(greeting)
    await this.#readCapabilities()
    if (tls === 'offered') await this.#upgrade()
    await loginPop3(this, this.#url, login)
    await this.#readCapabilities()
  }

  /** Sends a command and gives the answer as it is. */
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

  /** Changes when mails come or go. */
  async stat(): Promise<string> {
    return (await accepted(this.command('STAT'))).text
  }

  /** The header and so many lines after it, and nothing of them that is too long; null where the mail is gone. Unlike
   *  `retrieve` it marks nothing as read. */
  async top({ number }: Pop3Mail, lines: number): Promise<Uint8Array | null> {
    const mostBytes = lines === 0 ? headerLimitBytes : 2 * headerLimitBytes
    const answer = await this.command(`TOP ${number} ${lines}`, { form: 'lines', mostBytes })
    return answer.ok ? answer.body : null
  }

  /** The mail, at most `mostBytes` and one byte more of it; null where it is gone. */
  async retrieve({ number }: Pop3Mail, mostBytes: number): Promise<Uint8Array | null> {
    const answer = await this.command(`RETR ${number}`, { form: 'lines', mostBytes: mostBytes + 1 })
    return answer.ok ? answer.body : null
  }

  /** One that is gone already is no failure. */
  async markDeleted(number: number): Promise<void> {
    await this.command(`DELE ${number}`)
  }

  /** Deletes what was marked; rejects when the server did not confirm it. */
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
      if (mayStayInClear(this.#url)) return
      throw noTls(this.#url)
    }
    await accepted(this.command('STLS'))
    // What came before the handshake was not protected by it (as in CVE-2011-0411).
    if (!this.#reader.isIdle) throw new Error('it sent something before TLS began')
    const plain = this.#socket
    if (!plain) throw this.#failure
    plain.removeAllListeners()
    // To loopback even clear text is allowed, so a self-made certificate there is no reason to fail.
    const rejectUnauthorized = !isLoopbackHost(this.#url.host)
    const secure = connectTls({ socket: plain, ...this.#serverName(), rejectUnauthorized })
    this.#attach(secure)
    await this.#readCapabilities()
  }

  #serverName(): { servername?: string } {
    const { host } = this.#url
    // Server Name Indication holds names only (RFC 6066 §3).
    return /^[\d.]+$|:/.test(host) ? {} : { servername: host }
  }

  #attach(socket: Socket | TLSSocket): void {
    this.#socket = socket
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the server closed the connection')))
    socket.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk)
      this.#answer()
    })
  }

  #expect(form: Pop3Form, line: string | null, limitMs: number): Promise<Pop3Answer> {
    if (this.#failure !== null) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ form, line, resolve, reject })
      if (this.#waiting.length === 1) this.#watch(limitMs)
      this.#write()
    })
  }

  #write(): void {
    const most = this.#capabilities.has('PIPELINING') ? pop3Pipeline : 1
    while (this.#written < Math.min(most, this.#waiting.length)) {
      const { line } = this.#waiting[this.#written++] as Waiting
      if (line !== null) this.#socket?.write(`${line}\r\n`)
    }
  }

  #answer(): void {
    try {
      for (;;) {
        const [next] = this.#waiting
        const answer = next && this.#written > 0 ? this.#reader.take(next.form) : null
        if (!next || !answer) return
        this.#waiting.shift()
        this.#written--
        this.#cancelTimer()
        if (this.#waiting.length > 0) this.#watch(this.#timing.answerMs)
        next.resolve(answer)
        this.#write()
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  #watch(limitMs: number): void {
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

/** The answer if it is +OK; otherwise rejects with what the server said. */
async function accepted(answering: Promise<Pop3Answer>): Promise<Pop3Answer> {
  const answer = await answering
  if (answer.ok) return answer
  throw Pop3Refusal.of(answer.text)
}
