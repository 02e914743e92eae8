// A POP3 maildrop as a Mailbox. A session shows no new mails and locks out other programs. So each poll has its own
// session, which stays open while its letters are handled. Removed mails are deleted when the session ends.

import type { Clock } from '../../base/clock.ts'
import { manyWaiting } from '../../base/fair-order.ts'
import { messageOf, Problem } from '../../base/problem.ts'
import { connectWith, type Login } from '../auth/credentials.ts'
import { isLoopbackHost, type Pop3Url, serverName } from '../mail-url.ts'
import type { FetchedMail, Mailbox, MailboxHandlers, MailFilter } from '../mailbox.ts'
import { providerOfServer } from '../providers/provider-lookup.ts'
import { type Backoff, backoffMs } from '../reconnect-backoff.ts'
import { connectPop3, type Pop3ConnectionTiming } from './pop3-client.ts'
import { isLoginDelay, isTemporary, pop3Problem } from './pop3-errors.ts'
import { Pop3Session } from './pop3-session.ts'
import { UidlCache } from './uidl-cache.ts'

export type Pop3Timing = Pop3ConnectionTiming & {
  /** Between two polls. The server may demand more. */
  readonly pollMs: number
  /** A session that is not used for this time is ended. */
  readonly lingerMs: number
  /** The mails are listed at least this often, even if their number and size stay the same. */
  readonly listMs: number
  readonly retry: Backoff
  /** After a refused password. A person must act, and providers lock out clients that try often. */
  readonly loginRetry: Backoff
}

/** Each poll is a login. Providers allow one in ten seconds, a server on this computer any number. */
function pop3Timing({ host, pollMs }: Pop3Url): Pop3Timing {
  const usualMs = providerOfServer(host)?.pop3PollMs ?? (isLoopbackHost(host) ? 1_000 : 10_000)
  return {
    connectMs: 20_000,
    answerMs: 30_000,
    pollMs: pollMs ?? usualMs,
    lingerMs: 500,
    listMs: 60_000,
    retry: { firstMs: 2_000, lastMs: 60_000 },
    loginRetry: { firstMs: 300_000, lastMs: 1_800_000 },
  }
}

type Pop3MailboxOptions = {
  readonly clock: Clock
  readonly login: Login
  /** Uniform in [0, 1), to scatter retries. */
  readonly random: () => number
  readonly timing?: Partial<Pop3Timing>
  readonly notice: (line: string) => void
  /** File for the IDs of foreign mails. Null: no file. */
  readonly uidlCacheFile: string | null
}

export class Pop3Mailbox implements Mailbox {
  #handlers: MailboxHandlers = {}
  readonly #url: Pop3Url
  readonly #filter: MailFilter
  readonly #options: Pop3MailboxOptions
  readonly #timing: Pop3Timing
  readonly #uidlCache: UidlCache
  #state: 'new' | 'open' | 'closed' = 'new'
  #session: Pop3Session | null = null
  /** Why there is no connection; null after a successful poll. */
  #lostBecause: string | null = 'it is not open'
  /** The password was refused at the last login. */
  #isRefused = false
  #attempt = 0
  /** The time between two logins that the server demands. */
  #minLoginMs = 0
  #polledAt = Number.NEGATIVE_INFINITY
  #listedAt = Number.NEGATIVE_INFINITY
  /** Number and size of all mails when none was waiting; null if unknown. */
  #idleStat: string | null = null
  /** Mails that we removed and that may still be there. At most those of one list. */
  #toDelete = new Set<string>()
  #cancelPoll: () => void = () => undefined
  #cancelLinger: () => void = () => undefined
  /** The last operation. Each one waits for the one before. */
  #tail: Promise<unknown> = Promise.resolve()

  constructor(url: Pop3Url, filter: MailFilter, options: Pop3MailboxOptions) {
    this.#url = url
    this.#filter = filter
    this.#options = options
    this.#timing = { ...pop3Timing(url), ...options.timing }
    const key = [url.host, url.port, url.user, filter.subject, filter.address]
      .map(String)
      .map(encodeURIComponent)
    const { uidlCacheFile: file, notice } = options
    this.#uidlCache = new UidlCache({ file, key: key.join(' '), notice })
  }

  async open(handlers: MailboxHandlers = {}): Promise<void> {
    if (this.#state !== 'new')
      throw new Problem('internal', 'A mailbox was opened twice.', 'Please report this.')
    this.#state = 'open'
    this.#handlers = handlers
    await this.#runInOrder(async () => {
      try {
        await this.#poll()
      } catch (error) {
        if (isTemporary(error as Problem)) return
        this.#state = 'closed'
        this.#cancelPoll()
        throw error
      }
    })
  }

  fetch(limit: number, except: ReadonlySet<string> = new Set()): Promise<readonly FetchedMail[]> {
    return this.#runInOrder(async () => {
      this.#checkOpen()
      const { clock } = this.#options
      if (clock.now() - this.#polledAt >= this.#pollMs) {
        if (this.#session) await this.#endIfBacklog(this.#session)
        if (!this.#session) await this.#poll()
      }
      const session = this.#session
      if (!session) return []
      const isTaken = (uid: string) => except.has(uid) || this.#toDelete.has(uid)
      return this.#useSession(() => session.fetch(limit, isTaken, this.#handlers.mayTakeNewest))
    })
  }

  /** The server deletes the mails when the session ends. If that fails, the next session deletes them. */
  remove(refs: readonly string[]): Promise<void> {
    return this.#runInOrder(async () => {
      if (refs.length === 0) return
      for (const ref of refs) this.#toDelete.add(ref)
      this.#idleStat = null
      if (this.#state !== 'open') return
      const { clock } = this.#options
      if (!this.#session && this.#lostBecause === null && clock.now() - this.#polledAt >= this.#minLoginMs) {
        // If this fails, the next poll deletes the mails.
        await this.#poll().catch(() => undefined)
      }
      const session = this.#session
      if (session) await this.#useSession(() => session.remove(refs))
    })
  }

  /** Polls as soon as the server allows a login, but not with a refused password. */
  check(): void {
    if (this.#state !== 'open' || this.#isRefused) return
    this.#pollIn(Math.max(0, this.#polledAt + this.#minLoginMs - this.#options.clock.now()))
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#lostBecause = 'it was closed'
    this.#cancelPoll()
    this.#cancelLinger()
    const session = this.#session
    const cancel = this.#options.clock.after(2_000, () => session?.destroy())
    // If it fails, mails that were to be deleted come again, as copies.
    await this.#runInOrder(() => this.#end()).catch(() => undefined)
    cancel()
    this.#uidlCache.save()
  }

  get #pollMs(): number {
    return Math.max(this.#timing.pollMs, this.#minLoginMs)
  }

  #checkOpen(): void {
    if (this.#state === 'open' && this.#lostBecause === null) return
    throw new Problem(
      'mail-connection',
      `There is no connection to the POP3 server ${serverName(this.#url)}: ${this.#lostBecause ?? 'it was closed'}.`,
      'It is tried again by itself.',
    )
  }

  /** Connects, lists the mails and deletes those that were removed. Stays connected only if mails wait. */
  async #poll(): Promise<void> {
    const { clock } = this.#options
    this.#cancelPoll()
    this.#polledAt = clock.now()
    try {
      const connection = await connectWith(this.#options.login, (credentials) =>
        connectPop3(this.#url, credentials, clock, this.#timing),
      )
      const delay = Number(/^\d{1,6}/.exec(connection.capabilities.get('LOGIN-DELAY') ?? '')?.[0] ?? 0)
      // After a LOGIN-DELAY refusal our time may already be longer than the announced one.
      this.#minLoginMs = Math.max(this.#minLoginMs, delay * 1_000)
      connection.onLost = (error) => this.#lost(error)
      const stat = await connection.stat()
      const isUnchanged = stat === this.#idleStat && clock.now() - this.#listedAt < this.#timing.listMs
      const mails = isUnchanged ? [] : await connection.uidList()
      this.#session = isUnchanged ? null : new Pop3Session(connection, mails, this.#filter, this.#uidlCache)
      if (this.#session) {
        this.#session.isOurReport = this.#handlers.isOurReport
        await this.#begin(this.#session, stat)
      } else await connection.quit()
      this.#setConnected()
      if (this.#session) this.#handlers.onWake?.()
    } catch (error) {
      throw this.#lost(error)
    }
    this.#pollIn(this.#pollMs)
  }

  async #begin(session: Pop3Session, stat: string): Promise<void> {
    this.#listedAt = this.#options.clock.now()
    for (const uid of this.#toDelete) if (!session.has(uid)) this.#toDelete.delete(uid)
    await session.remove([...this.#toDelete])
    const isIdle = !session.hasWaiting(() => false)
    this.#idleStat = isIdle && !session.hasDeleted ? stat : null
    if (isIdle) await this.#end()
    else this.#linger()
  }

  /** While many letters are handled, a session would hide new mails for minutes. */
  async #endIfBacklog({ waiting }: Pop3Session): Promise<void> {
    if (waiting <= manyWaiting || !this.#handlers.mayTakeNewest?.(waiting)) return
    await this.#end().catch((error: unknown) => {
      throw this.#lost(error)
    })
  }

  async #useSession<T>(work: () => Promise<T>): Promise<T> {
    this.#cancelLinger()
    try {
      const result = await work()
      this.#linger()
      return result
    } catch (error) {
      throw this.#lost(error)
    }
  }

  #linger(): void {
    this.#cancelLinger()
    this.#cancelLinger = this.#options.clock.after(this.#timing.lingerMs, () => {
      this.#runInOrder(() => this.#end()).catch((error: unknown) => this.#lost(error))
    })
  }

  async #end(): Promise<void> {
    this.#cancelLinger()
    const session = this.#session
    this.#session = null
    await session?.quit()
    this.#uidlCache.save()
  }

  #setConnected(): void {
    this.#attempt = 0
    this.#isRefused = false
    if (this.#state !== 'open' || this.#lostBecause === null) return
    this.#lostBecause = null
    this.#handlers.onState?.({ state: 'connected' })
  }

  /** Drops the session and polls again later. */
  #lost(error: unknown): Problem {
    const problem = pop3Problem(this.#url, error)
    this.#session?.destroy()
    this.#session = null
    this.#cancelLinger()
    if (this.#state !== 'open') return problem
    const { retry, loginRetry } = this.#timing
    // The server does not say how long to wait, so the time doubles until it accepts the login.
    if (isLoginDelay(problem)) this.#minLoginMs = Math.min(1_800_000, Math.max(30_000, 2 * this.#pollMs))
    this.#isRefused = problem.code === 'mail-login'
    const backoff = this.#isRefused ? loginRetry : retry
    const retryInMs = Math.max(this.#minLoginMs, backoffMs(this.#attempt++, backoff, this.#options.random))
    this.#lostBecause = messageOf(problem).replace(/\.$/, '')
    this.#pollIn(retryInMs)
    this.#handlers.onState?.({ state: 'disconnected', reason: this.#lostBecause, retryInMs })
    return problem
  }

  #pollIn(delayMs: number): void {
    if (this.#state !== 'open') return
    this.#cancelPoll()
    this.#cancelPoll = this.#options.clock.after(delayMs, () => {
      this.#runInOrder(async () => {
        // While a session is in use, the poll waits.
        if (this.#session) this.#pollIn(this.#timing.lingerMs)
        else if (this.#state === 'open') await this.#poll()
      }).catch(() => undefined)
    })
  }

  #runInOrder<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#tail.then(work)
    this.#tail = run.catch(() => undefined)
    return run
  }
}
