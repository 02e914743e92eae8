// Sending by SMTP over nodemailer's pool: a few connections that stay open. Says of every mail whether it was taken,
// should be tried again, or never will be.

import { createTransport } from 'nodemailer'
import type { Clock } from '../../base/clock.ts'
import { messageOf, Problem } from '../../base/problem.ts'
import { isMailAddress } from '../../letter/text-validation.ts'
import type { AccessToken } from '../auth/credentials.ts'
import { isLoopbackHost, mayStayInClear, type SmtpUrl, serverName } from '../mail-url.ts'
import { composerFields, type MailToCompose } from '../mime/compose-mail.ts'
import type { MailSender, OutgoingMail, SendOutcome } from '../sender.ts'
import { openingProblem, sendingProblem } from './smtp-errors.ts'
import { outcomeOf, outcomeWithout } from './smtp-outcome.ts'

export type SmtpTiming = {
  readonly connectMs: number
  /** Silence after which a connection is given up. */
  readonly socketMs: number
  /** One mail from start to end, whatever the server trickles. */
  readonly sendMs: number
  /** Idle connections are closed by us before servers do it at the wrong moment. */
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

/** Mails handed in at once; more than that are told to come later. */
const pendingLimit = 1_000

/** Some servers stop taking mails on one connection after a while. */
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
        'Put it in the URL or in the secret file the configuration names.',
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
    const sending = this.#sendWithinTime(mail)
    this.#pending.add(sending)
    return sending.finally(() => this.#pending.delete(sending))
  }

  async #sendWithinTime(mail: MailToCompose | OutgoingMail): Promise<SendOutcome> {
    const tooLate = new AbortController()
    const cancel = this.#clock.after(this.#timing.sendMs, () => tooLate.abort())
    try {
      const { rejectedErrors = [] } = await this.#pool.sendMail({
        ...('raw' in mail ? finishedMail(mail.raw) : composerFields(mail.content)),
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

  /** Idle connections are given up without a goodbye, since nobody may hear it; mails under way go on, those that wait for
   *  a connection come back as `later`. */
  check(): void {
    const pool = this.#pool
    this.#pool = this.#openPool()
    pool.close()
  }

  /** Lets mails under way end, for as long as one may take. */
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
  // To loopback even clear text is allowed, so a self-made certificate there is no reason to fail.
  const isCareless = url.tls === 'offered' && isLoopbackHost(url.host)
  const pool = createTransport({
    pool: true,
    maxConnections: connections,
    maxMessages: mailsPerConnection,
    // nodemailer tries a mail again by itself only while no byte of it was sent; each connection may have been dropped.
    maxRequeues: connections,
    idleTimeout: timing.idleMs,
    host: url.host,
    port: url.port,
    secure: url.tls === 'always',
    requireTLS: url.tls === 'offered' && user !== null && !mayStayInClear(url),
    ignoreTLS: url.tls === 'never',
    tls: { rejectUnauthorized: !isCareless },
    connectionTimeout: timing.connectMs,
    greetingTimeout: timing.connectMs,
    dnsTimeout: timing.connectMs,
    socketTimeout: timing.socketMs,
    // A machine in a namespace of its own may have nothing but loopback.
    allowInternalNetworkInterfaces: true,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(user !== null && { auth: token ? { type: 'OAuth2', user } : { user, pass: password ?? '' } }),
  })
  // Asked at each login; with `renew` once more after a refusal.
  pool.set('oauth2_provision_cb', (_user: string, renew: boolean, done: TokenCallback) => {
    token?.(renew).then(
      (accessToken) => done(null, accessToken),
      // A new error, for nodemailer writes its own code into it.
      (error: unknown) => done(new Error(messageOf(error), { cause: error })),
    )
  })
  return pool
}

function finishedMail(raw: Uint8Array): { raw: Buffer } {
  return { raw: Buffer.from(raw.buffer, raw.byteOffset, raw.length) }
}

type TokenCallback = (error: Error | null, accessToken?: string) => void
