// One connection to an SMTP server, logged in, over nodemailer's. A connection that failed is never mended: the pool
// opens another.

import { Readable } from 'node:stream'
import NodemailerConnection, {
  type SMTPConnectionAuth,
  type SMTPConnectionOptions,
  type SMTPConnectionSendInfo,
} from 'nodemailer/lib/smtp-connection'
import XOAuth2 from 'nodemailer/lib/xoauth2'
import { messageOf } from '../../base/problem.ts'
import type { AccessToken } from '../auth/credentials.ts'
import { isLoopbackHost, mayStayInClear, type SmtpUrl } from '../mail-url.ts'
import type { OutgoingMail } from '../sender.ts'
import { fieldsOf } from '../server-errors.ts'
import type { RejectedRecipient } from './smtp-outcome.ts'

export type SmtpTiming = {
  readonly connectMs: number
  /** Silence after which a connection is given up. */
  readonly socketMs: number
  /** One mail from start to end, whatever the server trickles. */
  readonly sendMs: number
  /** Idle connections are closed by us before servers do it at the wrong moment. */
  readonly idleMs: number
}

export class SmtpConnection {
  readonly #client: NodemailerConnection
  readonly #login: SMTPConnectionAuth | null
  readonly #token: AccessToken | undefined
  readonly #onEnd: () => void
  /** Mails it was given. */
  #mails = 0
  #ended = false
  /** Of the mail under way, or of opening. */
  #fail: ((error: unknown) => void) | null = null

  /** `onEnd` is called once, when the connection is over for whatever reason. */
  constructor(url: SmtpUrl, timing: SmtpTiming, token: AccessToken | undefined, onEnd: () => void) {
    this.#token = token
    this.#login = loginAt(url, token)
    this.#client = new NodemailerConnection(clientOptions(url, timing, this.#login !== null))
    this.#onEnd = onEnd
    // Failures reach us through each mail; without a listener one of them would end the process.
    this.#client.on('error', (error) => this.#fail?.(error))
    this.#client.once('end', () => this.#end())
  }

  get mails(): number {
    return this.#mails
  }

  /** Connects and, where the server offers it, logs in. */
  async open(): Promise<void> {
    // Here, so that a Problem with it comes out as it is.
    if (this.#login?.oauth2) await this.#token?.()
    const opened = this.#step((done) => {
      this.#client.connect((error) => {
        if (error || this.#login === null || !this.#client.allowsAuth) done(error)
        else this.#client.login(this.#login, (failure) => done(failure))
      })
    })
    return opened.catch((error: Error) => {
      throw Object.assign(error, { isAtOpening: true })
    })
  }

  /** Resolves with the recipients that were refused while the mail was taken for others. Not to be called again
   *  before that. `onData`: from now on the server may have taken it, whatever it says. */
  send({ from, to, raw }: OutgoingMail, onData: () => void): Promise<readonly RejectedRecipient[]> {
    this.#mails++
    // Read only when the server wants the data.
    const bytes = new Readable({
      read() {
        onData()
        this.push(raw)
        this.push(null)
      },
    })
    return this.#step((done) => {
      const envelope = { from, to: [...to], size: raw.length }
      this.#client.send(envelope, bytes, (error, info) => done(error, rejectedOf(info)))
    })
  }

  /** Whether another mail may follow the one that was answered with this error. */
  async isUsableAfter(error: unknown): Promise<boolean> {
    const { code, responseCode } = fieldsOf(error)
    const isAboutMail = code === 'EENVELOPE' || code === 'EMESSAGE'
    if (!isAboutMail || responseCode === 421 || this.#ended) return false
    return this.#step((done: (error: unknown) => void) =>
      this.#client.reset((failure) => done(failure)),
    ).then(
      () => true,
      () => false,
    )
  }

  /** Says goodbye. */
  quit(): void {
    this.#client.quit()
  }

  /** At once; what is under way fails. */
  close(): void {
    this.#client.close()
  }

  #step<T = void>(work: (done: (error: unknown, value?: T) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#fail = reject
      work((error, value) => {
        this.#fail = null
        if (error) reject(error)
        else resolve(value as T)
      })
    })
  }

  #end(): void {
    this.#ended = true
    // nodemailer tells what went wrong right after this, if it can.
    queueMicrotask(() =>
      this.#fail?.(Object.assign(new Error('the connection ended'), { code: 'ECONNECTION' })),
    )
    this.#onEnd()
  }
}

function rejectedOf(info: SMTPConnectionSendInfo | undefined): readonly RejectedRecipient[] {
  return (info?.rejectedErrors ?? []).map((error) => ({ recipient: error.recipient ?? '', error }))
}

/** Null: nothing to log in with. */
function loginAt({ user, password }: SmtpUrl, token: AccessToken | undefined): SMTPConnectionAuth | null {
  if (user === null) return null
  if (token === undefined) return password === null ? null : { credentials: { user, pass: password } }
  const oauth2 = new XOAuth2({
    user,
    // `renew` after a refusal; it is asked once more then.
    provisionCallback: (_user, renew, done) => {
      token(renew).then(
        (accessToken) => done(null, accessToken),
        (error: unknown) => done(new Error(messageOf(error))),
      )
    },
  })
  return { user, oauth2 }
}

function clientOptions(url: SmtpUrl, timing: SmtpTiming, logsIn: boolean): SMTPConnectionOptions {
  // To loopback even clear text is allowed, so a self-made certificate there is no reason to fail.
  const careless = url.tls === 'offered' && isLoopbackHost(url.host)
  return {
    host: url.host,
    port: url.port,
    secure: url.tls === 'always',
    requireTLS: url.tls === 'offered' && logsIn && !mayStayInClear(url),
    ignoreTLS: url.tls === 'never',
    tls: { rejectUnauthorized: !careless },
    connectionTimeout: timing.connectMs,
    greetingTimeout: timing.connectMs,
    dnsTimeout: timing.connectMs,
    socketTimeout: timing.socketMs,
    // A machine in a namespace of its own may have nothing but loopback.
    allowInternalNetworkInterfaces: true,
  }
}
