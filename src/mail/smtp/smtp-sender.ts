// Sending by SMTP over a few connections that stay open. Says of every mail whether it was taken, should be
// tried again, or never will be.

import type { Clock } from '../../base/clock.ts'
import { Problem } from '../../base/problem.ts'
import type { AccessToken } from '../auth/credentials.ts'
import { type SmtpUrl, serverName } from '../mail-url.ts'
import { isPlainAddress } from '../mime/address-header.ts'
import type { MailSender, OutgoingMail, SendOutcome } from '../sender.ts'
import type { SmtpTiming } from './smtp-connection.ts'
import { openingProblem, sendingProblem } from './smtp-errors.ts'
import { isLostConnection, outcomeOf, outcomeWithout } from './smtp-outcome.ts'
import { SmtpPool } from './smtp-pool.ts'

export type { SmtpTiming } from './smtp-connection.ts'

export const smtpTiming: SmtpTiming = { connectMs: 20_000, socketMs: 60_000, sendMs: 120_000, idleMs: 60_000 }

export type SmtpSenderOptions = {
  readonly clock: Clock
  /** Instead of a password. */
  readonly accessToken?: AccessToken
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
  readonly #pool: SmtpPool
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
    this.concurrency = options.connections ?? 5
    this.#pool = new SmtpPool(url, this.#clock, this.#timing, this.concurrency, accessToken)
  }

  send(mail: OutgoingMail): Promise<SendOutcome> {
    if (this.#closed) return Promise.resolve({ outcome: 'later', reason: 'the sender is closed' })
    if (this.#pending.size >= pendingLimit) {
      return Promise.resolve({ outcome: 'later', reason: 'too many mails are under way' })
    }
    const addresses = [mail.from, ...mail.to]
    if (mail.to.length === 0 || !addresses.every(isPlainAddress)) {
      const reason = 'an address in the envelope is not valid'
      return Promise.resolve({ outcome: 'refused', reason, about: 'recipient' })
    }
    const sending = this.#sendWithinTime(mail)
    this.#pending.add(sending)
    return sending.finally(() => this.#pending.delete(sending))
  }

  async #sendWithinTime(mail: OutgoingMail): Promise<SendOutcome> {
    let isTooLate = false
    let sending = this.#pool.send(mail)
    const cancel = this.#clock.after(this.#timing.sendMs, () => {
      isTooLate = true
      sending.cancel()
    })
    try {
      const rejected = await sending.taken.catch((error: unknown) => {
        // A server may have dropped a pooled connection while it was idle. One that took the mail and could not say so
        // need not get it again at once.
        if (sending.mayBeTaken || !isLostConnection(error) || isTooLate || this.#closed) throw error
        sending = this.#pool.send(mail)
        return sending.taken
      })
      return outcomeWithout(rejected)
    } catch (error) {
      if (isTooLate) return { outcome: 'later', reason: 'the server took too long' }
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

  check(): void {
    this.#pool.dropIdle()
  }

  /** Lets mails under way end, for as long as one may take. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#pending)
    this.#pool.close()
  }
}
