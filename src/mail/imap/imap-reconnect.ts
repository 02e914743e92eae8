// Keeps one IMAP connection alive: reconnects with growing pauses, notices a line that has gone dead, and
// gives every operation a bounded time. Knows nothing of what the operations do.

import type { Clock } from '../../base/clock.ts'
import { messageOf, Problem } from '../../base/problem.ts'
import { connectWith, type Login } from '../auth/credentials.ts'
import { type ImapUrl, serverName } from '../mail-url.ts'
import type { MailboxState } from '../mailbox.ts'
import { type Backoff, backoffMs } from '../reconnect-backoff.ts'
import { connectImap, type ImapConnection, type ImapTiming, imapTiming } from './imap-connection.ts'
import { isPassing } from './imap-errors.ts'

export type ReconnectTiming = ImapTiming & {
  readonly retry: Backoff
  /** A password that once worked and is refused now: somebody has to act, and providers lock eager callers out. */
  readonly loginRetry: Backoff
  /** A server that lets nobody in for a while, for it is asked too often already. */
  readonly throttledRetry: Backoff
  /** One search, one batch of mails or one deletion; beyond it the connection is given up. */
  readonly operationMs: number
  /** When nothing has worked for this long the server is asked; no answer within `answerMs` ends the connection. */
  readonly watchdogMs: number
  readonly answerMs: number
  /** A server without IDLE is asked this often whether there is new mail. */
  readonly pollMs: number
}

export const reconnectTiming: ReconnectTiming = {
  ...imapTiming,
  retry: { firstMs: 1_000, lastMs: 60_000 },
  loginRetry: { firstMs: 300_000, lastMs: 1_800_000 },
  throttledRetry: { firstMs: 15_000, lastMs: 900_000 },
  operationMs: 60_000,
  watchdogMs: 60_000,
  answerMs: 30_000,
  pollMs: 10_000,
}

/** For a server that has every reason to answer at once. */
const checkMs = 3_000

type ImapReconnectorOptions = {
  readonly url: ImapUrl
  readonly login: Login
  /** Largest mail that is downloaded. */
  readonly maxBytes: number
  readonly clock: Clock
  /** Uniform in [0, 1), for the scatter of retries. */
  readonly random: () => number
  readonly timing: ReconnectTiming
  readonly onConnected: (connection: ImapConnection) => void
  readonly onExists: () => void
  readonly onState: (state: MailboxState) => void
}

export class ImapReconnector {
  readonly #options: ImapReconnectorOptions
  #connection: ImapConnection | null = null
  #state: 'new' | 'open' | 'closed' = 'new'
  #lostBecause = 'it is not open'
  #attempt = 0
  #cancelTimer: () => void = () => undefined
  #lastGoodAt = Number.NEGATIVE_INFINITY

  constructor(options: ImapReconnectorOptions) {
    this.#options = options
  }

  /** Rejects with a Problem when the first attempt fails for a reason that waiting will not mend; it is over then. */
  async open(): Promise<void> {
    if (this.#state !== 'new') throw new Problem('internal', 'A mailbox was opened twice.', 'Make a new one.')
    this.#state = 'open'
    try {
      await this.#connect()
    } catch (error) {
      if (isPassing(error)) return this.#retryAfter(error)
      this.#state = 'closed'
      throw error
    }
  }

  /** Asks the server now, and gives the connection up if it does not answer within seconds. */
  check(): void {
    const connection = this.#connection
    if (!connection) return
    this.run((live) => live.noop(), checkMs).catch((error: unknown) =>
      this.#drop(connection, messageOf(error)),
    )
  }

  async close(): Promise<void> {
    this.#state = 'closed'
    this.#lostBecause = 'it was closed'
    this.#cancelTimer()
    const connection = this.#connection
    this.#connection = null
    if (!connection) return
    const cancel = this.#options.clock.after(1_000, () => connection.destroy())
    await connection.logout().catch(() => undefined)
    cancel()
    connection.destroy()
  }

  /** The connection of this moment; throws a Problem while there is none. */
  get live(): ImapConnection {
    if (this.#connection) return this.#connection
    throw new Problem(
      'mail-connection',
      `There is no connection to the IMAP server ${serverName(this.#options.url)}: ${this.#lostBecause.replace(/\.+$/, '')}.`,
      'It is tried again by itself.',
    )
  }

  /** Runs one operation of bounded duration; success counts as a sign of life. */
  async run<T>(
    work: (connection: ImapConnection) => Promise<T>,
    limitMs = this.#options.timing.operationMs,
  ): Promise<T> {
    const connection = this.live
    const { clock, url } = this.#options
    const expired = Promise.withResolvers<never>()
    expired.promise.catch(() => undefined)
    const cancel = clock.after(limitMs, () => {
      const what = `The IMAP server ${serverName(url)} has not answered for ${Math.round(limitMs / 1000)} s.`
      expired.reject(new Problem('mail-connection', what, 'It is tried again by itself.'))
      this.#drop(connection, 'the server does not answer')
    })
    try {
      const result = await Promise.race([work(connection), expired.promise])
      this.#lastGoodAt = clock.now()
      return result
    } finally {
      cancel()
    }
  }

  async #connect(): Promise<void> {
    const { url, login, maxBytes, timing, onExists, onConnected, onState, clock } = this.#options
    const made: { connection?: ImapConnection } = {}
    const connection = await connectWith(login, (credentials) =>
      connectImap(url, credentials, maxBytes, timing, {
        onExists,
        onLost: (reason) => made.connection && this.#drop(made.connection, reason),
      }),
    )
    made.connection = connection
    if (this.#state === 'closed') return connection.destroy()
    this.#connection = connection
    this.#attempt = 0
    this.#lastGoodAt = clock.now()
    this.#watch(connection)
    onState({ state: 'connected' })
    onConnected(connection)
  }

  #watch(connection: ImapConnection): void {
    const { clock, timing } = this.#options
    const askMs = connection.announces ? timing.watchdogMs : Math.min(timing.pollMs, timing.watchdogMs)
    const restMs = Math.max(0, this.#lastGoodAt + askMs - clock.now())
    this.#cancelTimer = clock.after(restMs, () => {
      if (this.#connection !== connection) return
      if (clock.now() - this.#lastGoodAt < askMs) return this.#watch(connection)
      this.run((live) => live.noop(), timing.answerMs).then(
        () => this.#connection === connection && this.#watch(connection),
        (error: unknown) => this.#drop(connection, messageOf(error)),
      )
    })
  }

  #drop(connection: ImapConnection, reason: string): void {
    connection.destroy()
    if (this.#connection !== connection) return
    this.#connection = null
    this.#retryLater(reason, this.#options.timing.retry)
  }

  #retryAfter(error: unknown): void {
    const { retry, loginRetry, throttledRetry } = this.#options.timing
    const isLoginRefused = error instanceof Problem && error.code === 'mail-login'
    this.#retryLater(
      messageOf(error),
      isPassing(error) ? throttledRetry : isLoginRefused ? loginRetry : retry,
    )
  }

  #retryLater(reason: string, backoff: Backoff): void {
    this.#lostBecause = reason
    if (this.#state === 'closed') return
    const { clock, random, onState } = this.#options
    const retryInMs = backoffMs(this.#attempt++, backoff, random)
    this.#cancelTimer()
    this.#cancelTimer = clock.after(retryInMs, () => {
      this.#connect().catch((error: unknown) => this.#retryAfter(error))
    })
    onState({ state: 'disconnected', reason, retryInMs })
  }
}
