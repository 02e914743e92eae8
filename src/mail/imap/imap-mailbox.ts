// Adds to imapflow: an IMAP folder as a Mailbox, which finds our mails, fetches them and deletes them.
// A wake-up costs one search for mails after the last known one, and one fetch.

import type { Clock } from '../../base/clock.ts'
import type { Login } from '../auth/credentials.ts'
import { isOurs, mayBeReport } from '../letter-mail-filter.ts'
import { type ImapUrl, serverName } from '../mail-url.ts'
import type { FetchedMail, Mailbox, MailboxHandlers, MailFilter } from '../mailbox.ts'
import { parseHeader, parseMail } from '../mime/parse-mail.ts'
import type { ImapConnection, ImapItem } from './imap-connection.ts'
import { ImapReconnector, type ReconnectTiming, reconnectTiming } from './imap-reconnect.ts'
import { UidCache } from './uid-cache.ts'

export type ImapMailboxTiming = ReconnectTiming & {
  /** Without a wake-up, a fetch searches the whole folder again after this time. */
  readonly rescanMs: number
  /** With wake-ups, a fetch searches the whole folder after this time: other programs may have put old mail back. */
  readonly fullScanMs: number
}

const imapMailboxTiming: ImapMailboxTiming = {
  ...reconnectTiming,
  rescanMs: 20_000,
  fullScanMs: 300_000,
}

/** Senders of bounces, as part of the From field, because bounces have other subjects. Exim, Postfix and Google use the
 *  first, Microsoft the others. */
const bounceSenders = ['mailer-daemon', 'postmaster', 'microsoftexchange']

/** Mails that are downloaded by one command. The number limits memory and time. */
const fetchBatch = 50

type ImapMailboxOptions = {
  readonly clock: Clock
  readonly login: Login
  /** Uniform in [0, 1), to scatter retries. Math.random if left out. */
  readonly random?: () => number
  readonly timing?: Partial<ImapMailboxTiming>
  /** Gets a line that a person should read, once. */
  readonly notice?: (line: string) => void
}

export class ImapMailbox implements Mailbox {
  #handlers: MailboxHandlers = {}
  readonly #url: ImapUrl
  readonly #filter: MailFilter
  readonly #clock: Clock
  readonly #timing: ImapMailboxTiming
  readonly #notice: (line: string) => void
  readonly #reconnector: ImapReconnector
  readonly #uidCache = new UidCache((waiting) => this.#handlers.mayTakeNewest?.(waiting) === true)

  /** The server announced new mail since the last search. */
  #announced = true
  #scannedAt = 0
  /** Null: the whole folder was not searched yet on this connection. */
  #fullScanAt: number | null = null
  #markingNoticed = false
  /** The last operation. Each one waits for the one before. */
  #tail: Promise<unknown> = Promise.resolve()

  constructor(url: ImapUrl, filter: MailFilter, options: ImapMailboxOptions) {
    this.#url = url
    this.#filter = filter
    this.#clock = options.clock
    this.#timing = { ...imapMailboxTiming, ...options.timing }
    this.#notice = options.notice ?? (() => undefined)
    this.#reconnector = new ImapReconnector({
      url,
      login: options.login,
      maxBytes: filter.maxBytes,
      clock: options.clock,
      random: options.random ?? Math.random,
      timing: this.#timing,
      onConnected: (connection) => this.#begin(connection),
      onExists: () => {
        this.#announced = true
        this.#handlers.onWake?.()
      },
      onState: (state) => this.#handlers.onState?.(state),
    })
  }

  open(handlers: MailboxHandlers = {}): Promise<void> {
    this.#handlers = handlers
    return this.#reconnector.open()
  }

  check(): void {
    this.#reconnector.check()
  }

  close(): Promise<void> {
    return this.#reconnector.close()
  }

  #begin(connection: ImapConnection): void {
    this.#uidCache.useValidity(connection.uidValidity)
    this.#announced = true
    this.#fullScanAt = null
    this.#handlers.onWake?.()
  }

  fetch(limit: number, except: ReadonlySet<string> = new Set()): Promise<readonly FetchedMail[]> {
    return this.#runInOrder(async () => {
      await this.#scanIfDue()
      const mails: FetchedMail[] = []
      const taken = new Set<number>()
      for (;;) {
        const { uidValidity } = this.#reconnector.live
        const held = (uid: number) => taken.has(uid) || except.has(`${uidValidity}:${uid}`)
        const found = this.#uidCache.next(Math.min(fetchBatch, limit - mails.length), held)
        if (found.length === 0) return mails
        const uids = this.#leased(found, uidValidity)
        // Mails that others have leased are skipped, too.
        for (const uid of found) taken.add(uid)
        if (uids.length === 0) continue
        const items = await this.#reconnector.run((connection) => connection.fetch(uids))
        const present = new Set(items.map(({ uid }) => uid))
        this.#uidCache.noteGone(uids.filter((uid) => !present.has(uid)))
        mails.push(...(await this.#ours(items, uidValidity)))
      }
    })
  }

  #leased(uids: readonly number[], uidValidity: string): readonly number[] {
    if (!this.#handlers.lease) return uids
    const ours = this.#handlers.lease(uids.map((uid) => `${uidValidity}:${uid}`))
    return uids.filter((uid) => ours.has(`${uidValidity}:${uid}`))
  }

  /** Those of the mails that are ours. The others are stored as foreign, so that they are not read again. */
  async #ours(items: readonly ImapItem[], uidValidity: string): Promise<FetchedMail[]> {
    const mails = await Promise.all(items.map((item) => this.#ifOurs(item, uidValidity)))
    return mails.filter((mail) => mail !== null)
  }

  async #ifOurs({ uid, sizeBytes, start }: ImapItem, uidValidity: string): Promise<FetchedMail | null> {
    const { maxBytes } = this.#filter
    const parsed = sizeBytes <= maxBytes ? await parseMail(start, maxBytes) : null
    const header = parsed?.header ?? (await parseHeader(start))
    const isReport = () => mayBeReport(header, this.#filter) && this.#handlers.isOurReport?.(start) === true
    if (!isOurs(header, this.#filter) && !isReport()) {
      this.#uidCache.noteForeign(uid)
      return null
    }
    const ref = `${uidValidity}:${uid}`
    return parsed ? { ref, raw: start, sizeBytes, parsed } : { ref, raw: null, sizeBytes }
  }

  remove(refs: readonly string[]): Promise<void> {
    return this.#runInOrder(async () => {
      if (refs.length === 0) return
      const { uidValidity, deletesForGood } = this.#reconnector.live
      const uids = refs
        .filter((ref) => ref.startsWith(`${uidValidity}:`))
        .map((ref) => Number(ref.slice(uidValidity.length + 1)))
        .filter((uid) => Number.isSafeInteger(uid) && uid > 0)
      if (uids.length === 0) return
      await this.#reconnector.run((connection) => connection.remove(uids))
      this.#uidCache.noteGone(uids)
      if (!deletesForGood) this.#noticeMarking()
    })
  }

  #noticeMarking(): void {
    if (this.#markingNoticed) return
    this.#markingNoticed = true
    this.#notice(
      `The IMAP server ${serverName(this.#url)} cannot delete single mails (no UIDPLUS). Letters are only marked as deleted. Expunge the folder from time to time.`,
    )
  }

  async #scanIfDue(): Promise<void> {
    const now = this.#clock.now()
    const isOld = this.#fullScanAt === null || now - this.#fullScanAt >= this.#timing.fullScanMs
    const full = isOld || this.#uidCache.needsFullScan
    const more = this.#announced || (this.#uidCache.truncated && this.#uidCache.waiting === 0)
    if (!full && !more && now - this.#scannedAt < this.#timing.rescanMs) return
    const whole = full || !more
    // Reset before the search: mail that is announced meanwhile must cause another search.
    this.#announced = false
    try {
      const { lastUid } = this.#reconnector.live
      const from = whole ? 1 : this.#uidCache.scanFrom
      const uids = await this.#reconnector.run((connection) =>
        connection.search(this.#filter.subject, from, this.#handlers.isOurReport ? bounceSenders : []),
      )
      if (whole) this.#uidCache.noteFullScan(uids, lastUid)
      else this.#uidCache.noteNew(uids)
    } catch (error) {
      this.#announced = true
      throw error
    }
    this.#scannedAt = this.#clock.now()
    if (whole) this.#fullScanAt = this.#scannedAt
  }

  #runInOrder<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#tail.then(work)
    this.#tail = run.catch(() => undefined)
    return run
  }
}
