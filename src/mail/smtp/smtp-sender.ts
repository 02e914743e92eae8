// Adds to nodemailer's pool: an outcome for each mail (sent, later, partly, refused), a time limit, access tokens.

import { createTransport } from 'nodemailer'
import type { Clock } from '../../base/clock.ts'
import { messageOf, Problem } from '../../base/problem.ts'
import { isMailAddress } from '../../letter/text-validation.ts'
import type { AccessToken } from '../auth/credentials.ts'
import { allowsClearText, isLoopbackHost, type SmtpUrl, serverName } from '../mail-url.ts'
import { composerFields, type MailToCompose } from '../mime/compose-mail.ts'
import type { MailSender, OutgoingMail, SendOutcome } from '../sender.ts'
import { openingProblem, sendingProblem } from './smtp-errors.ts'
import { outcomeOf, outcomeWithout } from './smtp-outcome.ts'

export type SmtpTiming = {
  readonly connectMs: number
  /** A connection without any byte for this time is closed. */
  readonly socketMs: number
  /** One mail from start to end, even if the server sends a byte now and then. */
  readonly sendMs: number
  /** We close idle connections before servers do it at a bad moment. */
  readonly idleMs: number
}

const smtpTiming: SmtpTiming = { connectMs: 20_000, socketMs: 60_000, sendMs: 120_000, idleMs: 60_000 }

type SmtpSenderOptions = {
  readonly clock: Clock
  /** Instead of a password. */
  readonly accessToken?: AccessToken
  readonly timing?: Partial<SmtpTiming>
  readonly connections?: number
}

/** Mails that are sent or wait here at the same time. Further mails get the outcome `later`. */
const pendingLimit = 1_000

/** Some servers refuse further mails on a connection after a number of mails. */
const mailsPerConnection = 100

type Pool = ReturnType<typeof openPool>

export class SmtpSender implements MailSender {
  readonly concurrency: number
  readonly #url: SmtpUrl
  readonly #clock: Clock
  readonly #timing: SmtpTiming
  readonly #token: AccessToken | undefined
  #pool: Pool
  readonly #pending = new Set<Promise<SendOutcome>>()
  #closed = false

  constructor(url: SmtpUrl, options: SmtpSenderOptions) {
    const { accessToken } = options
    if (url.user !== null && url.password === null && !accessToken) {
      throw new Problem(
        'config',
        `There is no password for the SMTP server ${serverName(url)}.`,
        'Put it into the URL, or into the secret file that the config names.',
      )
    }
    this.#url = url
    this.#clock = options.clock
    this.#timing = { ...smtpTiming, ...options.timing }
    this.#token = accessToken
    this.concurrency = options.connections ?? 5
    this.#pool = this.#openPool()
  }

  send(mail: MailToCompose | OutgoingMail): Promise<SendOutcome> {
    if (this.#closed) return Promise.resolve({ outcome: 'later', reason: 'the sender is closed' })
    if (this.#pending.size >= pendingLimit) {
      return Promise.resolve({ outcome: 'later', reason: 'too many mails are under way' })
    }
    const addresses = [mail.from, ...mail.to]
    if (mail.to.length === 0 || !addresses.every(isMailAddress)) {
      const reason = 'an address in the envelope is not valid'
      return Promise.resolve({ outcome: 'refused', reason, about: 'recipient' })
    }
    const sending = this.#sendWithTimeout(mail)
    this.#pending.add(sending)
    return sending.finally(() => this.#pending.delete(sending))
  }

  async #sendWithTimeout(mail: MailToCompose | OutgoingMail): Promise<SendOutcome> {
    const tooLate = new AbortController()
    const cancel = this.#clock.after(this.#timing.sendMs, () => tooLate.abort())
    try {
      const { rejectedErrors = [] } = await this.#pool.sendMail({
        ...('raw' in mail ? rawMail(mail.raw) : composerFields(mail.content)),
        envelope: { from: mail.from, to: [...mail.to] },
        signal: tooLate.signal,
      })
      return outcomeWithout(rejectedErrors.map((error) => ({ recipient: error.recipient ?? '', error })))
    } catch (error) {
      if (tooLate.signal.aborted) return { outcome: 'later', reason: 'the server took too long' }
      const outcome = outcomeOf(error)
      const problem = sendingProblem(this.#url, error)
      return problem && outcome.outcome === 'later' ? { ...outcome, problem } : outcome
    } finally {
      cancel()
    }
  }

  async verify(): Promise<void> {
    try {
      await this.#pool.verify()
    } catch (error) {
      throw openingProblem(this.#url, error)
    }
  }

  /** Drops idle connections without QUIT, because they may be dead. Mails that are being sent continue. Mails that
   *  wait for a connection get the outcome `later`. */
  check(): void {
    const pool = this.#pool
    this.#pool = this.#openPool()
    pool.close()
  }

  /** Waits until mails that are being sent have ended or timed out. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#pending)
    this.#pool.close()
  }

  #openPool(): Pool {
    return openPool(this.#url, this.#timing, this.concurrency, this.#token)
  }
}

function openPool(url: SmtpUrl, timing: SmtpTiming, connections: number, token: AccessToken | undefined) {
  const { user, password } = url
  // To loopback even clear text is allowed, so a self-signed certificate is accepted there.
  const allowsSelfSigned = url.tls === 'offered' && isLoopbackHost(url.host)
  const pool = createTransport({
    pool: true,
    maxConnections: connections,
    maxMessages: mailsPerConnection,
    // nodemailer tries a mail again by itself only if no byte of it was sent. The server may have dropped each
    // connection.
    maxRequeues: connections,
    idleTimeout: timing.idleMs,
    host: url.host,
    port: url.port,
    secure: url.tls === 'always',
    requireTLS: url.tls === 'offered' && user !== null && !allowsClearText(url),
    ignoreTLS: url.tls === 'never',
    tls: { rejectUnauthorized: !allowsSelfSigned },
    connectionTimeout: timing.connectMs,
    greetingTimeout: timing.connectMs,
    dnsTimeout: timing.connectMs,
    socketTimeout: timing.socketMs,
    // In a network namespace there may be no interface but loopback.
    allowInternalNetworkInterfaces: true,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(user !== null && { auth: token ? { type: 'OAuth2', user } : { user, pass: password ?? '' } }),
  })
  // Called at each login, and once more with `renew` after a refusal.
  pool.set('oauth2_provision_cb', (_user: string, renew: boolean, done: TokenCallback) => {
    token?.(renew).then(
      (accessToken) => done(null, accessToken),
      // A new error, because nodemailer writes its own code into it.
      (error: unknown) => done(new Error(messageOf(error), { cause: error })),
    )
  })
  return pool
}

function rawMail(raw: Uint8Array): { raw: Buffer } {
  return { raw: Buffer.from(raw.buffer, raw.byteOffset, raw.length) }
}

type TokenCallback = (error: Error | null, accessToken?: string) => void
