// Sending by SMTP over a few connections that stay open. Says of every mail whether it was taken, should be
// tried again, or never will be.

import { createTransport, type Transporter } from 'nodemailer'
import type { Clock } from '../base/clock.ts'
import { Problem } from '../base/problem.ts'
import { isPlainAddress } from './address.ts'
import { isLoopbackHost, mayStayInClear, type SmtpUrl, serverName } from './mail-url.ts'
import type { MailSender, OutgoingMail, SendOutcome } from './sender.ts'
import { clearTextProblem, fieldsOf, loginProblem, serverProblem } from './server-problem.ts'
import { isLostConnection, outcomeOf } from './smtp-outcome.ts'

export type SmtpTiming = {
  readonly connectMs: number
  /** Silence after which a connection is given up. */
  readonly socketMs: number
  /** One mail from start to end, whatever the server trickles. */
  readonly sendMs: number
  /** Idle connections are closed by us before servers do it at the wrong moment. */
  readonly idleMs: number
}

export const smtpTiming: SmtpTiming = { connectMs: 20_000, socketMs: 60_000, sendMs: 120_000, idleMs: 60_000 }

export type SmtpSenderOptions = {
  readonly clock: Clock
  readonly timing?: Partial<SmtpTiming>
  readonly connections?: number
}

/** Mails handed in at once; more than that are told to come later. */
const pendingLimit = 1_000

export class SmtpSender implements MailSender {
  readonly concurrency: number
  readonly #url: SmtpUrl
  readonly #clock: Clock
  readonly #timing: SmtpTiming
  readonly #pool: Transporter
  readonly #pending = new Set<Promise<SendOutcome>>()
  #closed = false

  constructor(url: SmtpUrl, options: SmtpSenderOptions) {
    if (url.user !== null && url.password === null) {
      throw new Problem(
        'config',
        `There is no password for the SMTP server ${serverName(url)}.`,
        'Put it in the URL or in the secret file the configuration names.',
      )
    }
    this.#url = url
    this.#clock = options.clock
    this.#timing = { ...smtpTiming, ...options.timing }
    this.concurrency = options.connections ?? 5
    this.#pool = createTransport(poolOptions(url, this.#timing, this.concurrency))
    // Failures reach us through each send; without a listener this one would end the process.
    this.#pool.on('error', () => undefined)
  }

  send(mail: OutgoingMail): Promise<SendOutcome> {
    if (this.#closed) return Promise.resolve({ outcome: 'later', reason: 'the sender is closed' })
    if (this.#pending.size >= pendingLimit) {
      return Promise.resolve({ outcome: 'later', reason: 'too many mails are under way' })
    }
    const addresses = [mail.from, ...mail.to]
    if (mail.to.length === 0 || !addresses.every(isPlainAddress)) {
      return Promise.resolve({ outcome: 'refused', reason: 'an address in the envelope is not valid' })
    }
    const sending = this.#sendWithinTime(mail)
    this.#pending.add(sending)
    return sending.finally(() => this.#pending.delete(sending))
  }

  async #sendWithinTime(mail: OutgoingMail): Promise<SendOutcome> {
    const abort = new AbortController()
    const cancel = this.#clock.after(this.#timing.sendMs, () => abort.abort())
    try {
      return await this.#attempt(mail, abort.signal).catch((error: unknown) => {
        // A server may have dropped a pooled connection while it was idle. The bytes are the same, so a
        // second attempt is as harmless as the caller's own would be.
        if (!isLostConnection(error) || abort.signal.aborted || this.#closed) throw error
        return this.#attempt(mail, abort.signal)
      })
    } catch (error) {
      if (abort.signal.aborted) return { outcome: 'later', reason: 'the server took too long' }
      return outcomeOf(error)
    } finally {
      cancel()
    }
  }

  async #attempt(mail: OutgoingMail, signal: AbortSignal): Promise<SendOutcome> {
    const message = {
      envelope: { from: mail.from, to: [...mail.to] },
      raw: Buffer.from(mail.raw.buffer, mail.raw.byteOffset, mail.raw.byteLength),
      disableFileAccess: true,
      disableUrlAccess: true,
      signal,
    }
    const { rejected = [] } = (await this.#pool.sendMail(message)) as { rejected?: readonly unknown[] }
    if (rejected.length === 0) return { outcome: 'sent' }
    // Taken for some recipients: trying again would double those, so it ends here.
    return {
      outcome: 'refused',
      reason: `taken, but not for ${rejected.length} of ${mail.to.length} recipients`,
    }
  }

  async verify(): Promise<void> {
    try {
      await this.#pool.verify()
    } catch (error) {
      throw verifyProblem(this.#url, error)
    }
  }

  /** Lets mails under way end, for as long as one may take. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#pending)
    this.#pool.close()
  }
}

function poolOptions(url: SmtpUrl, timing: SmtpTiming, connections: number) {
  const { user, password } = url
  const auth = user === null || password === null ? {} : { auth: { user, pass: password } }
  // To loopback even clear text is allowed, so a self-made certificate there is no reason to fail.
  const careless = url.tls === 'offered' && isLoopbackHost(url.host)
  return {
    pool: true as const,
    host: url.host,
    port: url.port,
    secure: url.tls === 'always',
    ...auth,
    requireTLS: url.tls === 'offered' && password !== null && !mayStayInClear(url),
    ignoreTLS: url.tls === 'never',
    tls: { rejectUnauthorized: !careless },
    maxConnections: connections,
    // Requeueing hides failures and repeats mails whose outcome is unknown; the outbox does that knowingly.
    maxRequeues: 0,
    connectionTimeout: timing.connectMs,
    greetingTimeout: timing.connectMs,
    dnsTimeout: timing.connectMs,
    socketTimeout: timing.socketMs,
    idleTimeout: timing.idleMs,
    // A machine in a namespace of its own may have nothing but loopback.
    allowInternalNetworkInterfaces: true,
    disableFileAccess: true,
    disableUrlAccess: true,
  }
}

function verifyProblem(url: SmtpUrl, error: unknown): Problem {
  const { code, responseCode, command } = fieldsOf(error)
  const refusedForGood = typeof responseCode === 'number' && responseCode >= 500
  if (code === 'EAUTH' && (refusedForGood || responseCode === undefined))
    return loginProblem('SMTP', url, error)
  // Asked for STARTTLS because we insist, answered "unknown command".
  if (code === 'ETLS' && command === 'STARTTLS' && refusedForGood) return clearTextProblem('SMTP', url)
  return serverProblem('SMTP', url, error)
}
