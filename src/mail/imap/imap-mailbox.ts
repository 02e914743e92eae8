// An IMAP folder as a Mailbox: says when there may be new mail, hands out ours, deletes what is done with.
// One wake-up costs one search from the last known mail on and one fetch of what it found.

import type { Clock } from '../../base/clock.ts'
import type { MayTakeNewest } from '../../base/fair-order.ts'
import type { Login } from '../auth/credentials.ts'
import { isOurs, mayBeReport } from '../letter-mail-filter.ts'
import { type ImapUrl, serverName } from '../mail-url.ts'
import type { FetchedMail, Mailbox, MailboxState, MailFilter } from '../mailbox.ts'
import { parseHeader, parseMail } from '../mime/parse-mail.ts'
import type { ImapConnection, ImapItem } from './imap-connection.ts'
import { ImapReconnector, type ReconnectTiming, reconnectTiming } from './imap-reconnect.ts'
import { UidCache } from './uid-cache.ts'

export type ImapMailboxTiming = ReconnectTiming & {
  /** Without a wake-up, a fetch searches the whole folder again after this long … */
  readonly rescanMs: number
  /** … and with wake-ups all the time after this long: other programs may have put old mail back. */
  readonly fullScanMs: number
}

const imapMailboxTiming: ImapMailboxTiming = {
  ...reconnectTiming,
  rescanMs: 20_000,
  fullScanMs: 300_000,
}

/** Who sends bounces, as part of the From field: reports have subjects of their own. Exim, Postfix and Google write
 *  the first, Microsoft the others. */
const reporters = ['mailer-daemon', 'postmaster', 'microsoftexchange']

/** Mails downloaded by one command: bounds memory and the time one command takes. */
const fetchBatch = 50

type ImapMailboxOptions = {
  readonly clock: Clock
  readonly login: Login
  /** Uniform in [0, 1), for the scatter of retries; Math.random if left out. */
  readonly random?: () => number
  readonly timing?: Partial<ImapMailboxTiming>
  /** Something the person should know, said once, on one line. */
  readonly notice?: (line: string) => void
}

export class ImapMailbox implements Mailbox {
  onWake: () => void = () => undefined
  onState: (state: MailboxState) => void = () => undefined
  isOurReport?: (raw: Uint8Array) => boolean
  claim?: (refs: readonly string[]) => ReadonlySet<string>
  mayTakeNewest?: MayTakeNewest

  readonly #url: ImapUrl
  readonly #filter: MailFilter
  readonly #clock: Clock
  readonly #timing: ImapMailboxTiming
  readonly #notice: (line: string) => void
  readonly #supervisor: ImapReconnector
  readonly #uidCache = new UidCache((waiting) => this.mayTakeNewest?.(waiting) === true)

  /** The server spoke of new mail since the last search. */
  #announced = true
  #scannedAt = 0
  /** Null: the whole folder has not been searched on this connection. */
  #fullScanAt: number | null = null
  #markingNoticed = false
  /** Operations run one after the other: each waits for the one before. */
  #tail: Promise<unknown> = Promise.resolve()

  constructor(url: ImapUrl, filter: MailFilter, options: ImapMailboxOptions) {
    this.#url = url
    this.#filter = filter
    this.#clock = options.clock
    this.#timing = { ...imapMailboxTiming, ...options.timing }
    this.#notice = options.notice ?? (() => undefined)
    this.#supervisor = new ImapReconnector({
      url,
      login: options.login,
      maxBytes: filter.maxBytes,
      clock: options.clock,
      random: options.random ?? Math.random,
      timing: this.#timing,
      onConnected: (connection) => this.#begin(connection),
      onExists: () => {
        this.#announced = true
        this.onWake()
      },
      onState: (state) => this.onState(state),
    })
  }

  open(): Promise<void> {
    return this.#supervisor.open()
  }

  check(): void {
    this.#supervisor.check()
  }

  close(): Promise<void> {
    return this.#supervisor.close()
  }

  #begin(connection: ImapConnection): void {
    this.#uidCache.useValidity(connection.uidValidity)
    this.#announced = true
    this.#fullScanAt = null
    this.onWake()
  }

  fetch(limit: number, except: ReadonlySet<string> = new Set()): Promise<readonly FetchedMail[]> {
    return this.#inTurn(async () => {
      await this.#scanIfDue()
      const mails: FetchedMail[] = []
      const taken = new Set<number>()
      for (;;) {
        const { uidValidity } = this.#supervisor.live
        const held = (uid: number) => taken.has(uid) || except.has(`${uidValidity}:${uid}`)
        const found = this.#uidCache.next(Math.min(fetchBatch, limit - mails.length), held)
        if (found.length === 0) return mails
        const uids = this.#claimed(found, uidValidity)
        // Left to others, or done.
        for (const uid of found) taken.add(uid)
        if (uids.length === 0) continue
        const items = await this.#supervisor.run((connection) => connection.fetch(uids))
        const there = new Set(items.map(({ uid }) => uid))
        this.#uidCache.noteGone(uids.filter((uid) => !there.has(uid)))
        mails.push(...(await this.#ours(items, uidValidity)))
      }
    })
  }

  #claimed(uids: readonly number[], uidValidity: string): readonly number[] {
    if (!this.claim) return uids
    const ours = this.claim(uids.map((uid) => `${uidValidity}:${uid}`))
    return uids.filter((uid) => ours.has(`${uidValidity}:${uid}`))
  }

  /** Those of the mails that are ours; the others are kept in mind so that they are not read again. */
  async #ours(items: readonly ImapItem[], uidValidity: string): Promise<FetchedMail[]> {
    const mails = await Promise.all(items.map((item) => this.#ifOurs(item, uidValidity)))
    return mails.filter((mail) => mail !== null)
  }

  async #ifOurs({ uid, sizeBytes, start }: ImapItem, uidValidity: string): Promise<FetchedMail | null> {
    const { maxBytes } = this.#filter
    const parsed = sizeBytes <= maxBytes ? await parseMail(start, maxBytes) : null
    const header = parsed?.header ?? (await parseHeader(start))
    const isReport = () => mayBeReport(header, this.#filter) && this.isOurReport?.(start) === true
    if (!isOurs(header, this.#filter) && !isReport()) {
      this.#uidCache.noteForeign(uid)
      return null
    }
    const ref = `${uidValidity}:${uid}`
    return parsed ? { ref, raw: start, sizeBytes, parsed } : { ref, raw: null, sizeBytes }
  }

  remove(refs: readonly string[]): Promise<void> {
    return this.#inTurn(async () => {
      if (refs.length === 0) return
      const { uidValidity, deletesForGood } = this.#supervisor.live
      const uids = refs
        .filter((ref) => ref.startsWith(`${uidValidity}:`))
        .map((ref) => Number(ref.slice(uidValidity.length + 1)))
        .filter((uid) => Number.isSafeInteger(uid) && uid > 0)
      if (uids.length === 0) return
      await this.#supervisor.run((connection) => connection.remove(uids))
      this.#uidCache.noteGone(uids)
      if (!deletesForGood) this.#noticeMarking()
    })
  }

  #noticeMarking(): void {
    if (this.#markingNoticed) return
    this.#markingNoticed = true
    this.#notice(
      `The IMAP server ${serverName(this.#url)} cannot delete single mails (no UIDPLUS): letters are only marked as deleted. Expunge the folder now and then.`,
    )
  }

  async #scanIfDue(): Promise<void> {
    const now = this.#clock.now()
    const isOld = this.#fullScanAt === null || now - this.#fullScanAt >= this.#timing.fullScanMs
    const full = isOld || this.#uidCache.needsFullScan
    const more = this.#announced || (this.#uidCache.truncated && this.#uidCache.waiting === 0)
    if (!full && !more && now - this.#scannedAt < this.#timing.rescanMs) return
    const whole = full || !more
    // Before the search: mail announced while it runs must lead to another one.
    this.#announced = false
    try {
      const { lastUid } = this.#supervisor.live
      const from = whole ? 1 : this.#uidCache.scanFrom
      const uids = await this.#supervisor.run((connection) =>
        connection.search(this.#filter.subject, from, this.isOurReport ? reporters : []),
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

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#tail.then(work)
    this.#tail = run.catch(() => undefined)
    return run
  }
}
