// A POP3 maildrop as a Mailbox. A session shows nothing new and locks out other programs, so there is one only for each
// look: at regular times, and kept while letters of it are worked off. What is removed is deleted when it ends.

import type { Clock } from '../../base/clock.ts'
import { type MayTakeNewest, manyWaiting } from '../../base/fair-order.ts'
import { messageOf, Problem } from '../../base/problem.ts'
import { connectWith, type Login } from '../auth/credentials.ts'
import { isLoopbackHost, type Pop3Url, serverName } from '../mail-url.ts'
import type { FetchedMail, Mailbox, MailboxState, MailFilter } from '../mailbox.ts'
import { providerOfServer } from '../providers/provider-lookup.ts'
import { type Backoff, backoffMs } from '../reconnect-backoff.ts'
import { connectPop3, type Pop3ConnectionTiming } from './pop3-client.ts'
import { isLoginDelay, isPassing, pop3Problem } from './pop3-errors.ts'
import { Pop3Session } from './pop3-session.ts'
import { UidlCache } from './uidl-cache.ts'

export type Pop3Timing = Pop3ConnectionTiming & {
  /** Between two looks; the server may ask for more. */
  readonly pollMs: number
  /** A session that nobody uses for this long is ended. */
  readonly lingerMs: number
  /** The mails are listed at least this often, though their number and size stay the same. */
  readonly listMs: number
  readonly retry: Backoff
  /** A password that is refused: somebody has to act, and providers lock eager callers out. */
  readonly loginRetry: Backoff
}

/** Each look is a login: providers take one in ten seconds, a server on this computer any number. */
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
  /** Uniform in [0, 1), for the scatter of retries. */
  readonly random: () => number
  readonly timing?: Partial<Pop3Timing>
  readonly notice: (line: string) => void
  /** Where the IDs of foreign mails are kept; null: nowhere. */
  readonly memoryFile: string | null
}

export class Pop3Mailbox implements Mailbox {
  onWake: () => void = () => undefined
  onState: (state: MailboxState) => void = () => undefined
  isOurReport?: (raw: Uint8Array) => boolean
  mayTakeNewest?: MayTakeNewest

  readonly #url: Pop3Url
  readonly #filter: MailFilter
  readonly #options: Pop3MailboxOptions
  readonly #timing: Pop3Timing
  readonly #memory: UidlCache
  #state: 'new' | 'open' | 'closed' = 'new'
  #session: Pop3Session | null = null
  /** Why there is no connection; null while all is well. */
  #lostBecause: string | null = 'it is not open'
  /** The password was refused at the last login. */
  #isRefused = false
  #attempt = 0
  /** What the server asks us to leave between two logins. */
  #spacingMs = 0
  #lookedAt = Number.NEGATIVE_INFINITY
  #listedAt = Number.NEGATIVE_INFINITY
  /** Number and size of all mails when nothing was waiting; null: not known. */
  #quietStat: string | null = null
  /** Removed by us and perhaps still there: bounded by what is listed. */
  #doomed = new Set<string>()
  #cancelPoll: () => void = () => undefined
  #cancelLinger: () => void = () => undefined
  /** Operations run one after the other: each waits for the one before. */
  #tail: Promise<unknown> = Promise.resolve()

  constructor(url: Pop3Url, filter: MailFilter, options: Pop3MailboxOptions) {
    this.#url = url
    this.#filter = filter
    this.#options = options
    this.#timing = { ...pop3Timing(url), ...options.timing }
    const key = [url.host, url.port, url.user, filter.subject, filter.address]
      .map(String)
      .map(encodeURIComponent)
    const { memoryFile: file, notice } = options
    this.#memory = new UidlCache({ file, key: key.join(' '), notice })
  }

  async open(): Promise<void> {
    if (this.#state !== 'new') throw new Problem('internal', 'A mailbox was opened twice.', 'Make a new one.')
    this.#state = 'open'
    await this.#inTurn(async () => {
      try {
        await this.#look()
      } catch (error) {
        if (isPassing(error as Problem)) return
        this.#state = 'closed'
        this.#cancelPoll()
        throw error
      }
    })
  }

  fetch(limit: number, except: ReadonlySet<string> = new Set()): Promise<readonly FetchedMail[]> {
    return this.#inTurn(async () => {
      this.#checkOpen()
      const { clock } = this.#options
      if (clock.now() - this.#lookedAt >= this.#pollMs) {
        if (this.#session) await this.#endBacklog(this.#session)
        if (!this.#session) await this.#look()
      }
      const session = this.#session
      if (!session) return []
      const isTaken = (uid: string) => except.has(uid) || this.#doomed.has(uid)
      return this.#using(() => session.fetch(limit, isTaken, this.mayTakeNewest))
    })
  }

  /** Done for good when the session ends; refused or lost, it is done in the next one. */
  remove(refs: readonly string[]): Promise<void> {
    return this.#inTurn(async () => {
      if (refs.length === 0) return
      for (const ref of refs) this.#doomed.add(ref)
      this.#quietStat = null
      if (this.#state !== 'open') return
      const { clock } = this.#options
      if (!this.#session && this.#lostBecause === null && clock.now() - this.#lookedAt >= this.#spacingMs) {
        // The next look does it as well.
        await this.#look().catch(() => undefined)
      }
      const session = this.#session
      if (session) await this.#using(() => session.remove(refs))
    })
  }

  /** A look as soon as the server bears one; not with a password that was refused. */
  check(): void {
    if (this.#state !== 'open' || this.#isRefused) return
    this.#pollIn(Math.max(0, this.#lookedAt + this.#spacingMs - this.#options.clock.now()))
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#lostBecause = 'it was closed'
    this.#cancelPoll()
    this.#cancelLinger()
    const session = this.#session
    const cancel = this.#options.clock.after(2_000, () => session?.destroy())
    await this.#inTurn(() => this.#end()).catch(() => undefined)
    cancel()
    this.#memory.save()
  }

  get #pollMs(): number {
    return Math.max(this.#timing.pollMs, this.#spacingMs)
  }

  #checkOpen(): void {
    if (this.#state === 'open' && this.#lostBecause === null) return
    throw new Problem(
      'mail-connection',
      `There is no connection to the POP3 server ${serverName(this.#url)}: ${this.#lostBecause ?? 'it was closed'}.`,
      'It is tried again by itself.',
    )
  }

  /** Connects, lists, deletes what is left to delete, and stays only if something waits. */
  async #look(): Promise<void> {
    const { clock } = this.#options
    this.#cancelPoll()
    this.#lookedAt = clock.now()
    try {
      const connection = await connectWith(this.#options.login, (credentials) =>
        connectPop3(this.#url, credentials, clock, this.#timing),
      )
      const delay = Number(/^\d{1,6}/.exec(connection.capabilities.get('LOGIN-DELAY') ?? '')?.[0] ?? 0)
      // An answer of the server to our asking too often counts more than what it announces.
      this.#spacingMs = Math.max(this.#spacingMs, delay * 1_000)
      connection.onLost = (error) => this.#lost(error)
      const stat = await connection.stat()
      const mayRest = stat === this.#quietStat && clock.now() - this.#listedAt < this.#timing.listMs
      const mails = mayRest ? [] : await connection.uidList()
      this.#session = mayRest ? null : new Pop3Session(connection, mails, this.#filter, this.#memory)
      if (this.#session) {
        this.#session.isOurReport = this.isOurReport
        await this.#begin(this.#session, stat)
      } else await connection.quit()
      this.#nowConnected()
      if (this.#session) this.onWake()
    } catch (error) {
      throw this.#lost(error)
    }
    this.#pollIn(this.#pollMs)
  }

  async #begin(session: Pop3Session, stat: string): Promise<void> {
    this.#listedAt = this.#options.clock.now()
    for (const uid of this.#doomed) if (!session.has(uid)) this.#doomed.delete(uid)
    await session.remove([...this.#doomed])
    const isQuiet = !session.hasWaiting(() => false)
    this.#quietStat = isQuiet && !session.hasDeleted ? stat : null
    if (isQuiet) await this.#end()
    else this.#linger()
  }

  /** While many letters are worked off a session would hide for minutes what comes meanwhile. */
  async #endBacklog({ waiting }: Pop3Session): Promise<void> {
    if (waiting <= manyWaiting || !this.mayTakeNewest?.(waiting)) return
    await this.#end().catch((error: unknown) => {
      throw this.#lost(error)
    })
  }

  async #using<T>(work: () => Promise<T>): Promise<T> {
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
      this.#inTurn(() => this.#end()).catch((error: unknown) => this.#lost(error))
    })
  }

  async #end(): Promise<void> {
    this.#cancelLinger()
    const session = this.#session
    this.#session = null
    await session?.quit()
    this.#memory.save()
  }

  #nowConnected(): void {
    this.#attempt = 0
    this.#isRefused = false
    if (this.#state !== 'open' || this.#lostBecause === null) return
    this.#lostBecause = null
    this.onState({ state: 'connected' })
  }

  /** Ends what is left of the connection and comes back later. */
  #lost(error: unknown): Problem {
    const problem = pop3Problem(this.#url, error)
    this.#session?.destroy()
    this.#session = null
    this.#cancelLinger()
    if (this.#state !== 'open') return problem
    const { retry, loginRetry } = this.#timing
    // Twice as long each time until it is content, for it does not say how long.
    if (isLoginDelay(problem)) this.#spacingMs = Math.min(1_800_000, Math.max(30_000, 2 * this.#pollMs))
    this.#isRefused = problem.code === 'mail-login'
    const backoff = this.#isRefused ? loginRetry : retry
    const retryInMs = Math.max(this.#spacingMs, backoffMs(this.#attempt++, backoff, this.#options.random))
    this.#lostBecause = messageOf(problem).replace(/\.$/, '')
    this.#pollIn(retryInMs)
    this.onState({ state: 'disconnected', reason: this.#lostBecause, retryInMs })
    return problem
  }

  #pollIn(delayMs: number): void {
    if (this.#state !== 'open') return
    this.#cancelPoll()
    this.#cancelPoll = this.#options.clock.after(delayMs, () => {
      this.#inTurn(async () => {
        // One that is in use is asked again when it has ended.
        if (this.#session) this.#pollIn(this.#timing.lingerMs)
        else if (this.#state === 'open') await this.#look()
      }).catch(() => undefined)
    })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#tail.then(work)
    this.#tail = run.catch(() => undefined)
    return run
  }
}
