// One session with a POP3 maildrop: the list of its mails, which of them are ours, and which are deleted at the end.
// The maildrop is locked meanwhile and shows no new mails, so sessions are short.

import { fairOrder, type MayTakeNewest } from '../../base/fair-order.ts'
import { isOurs, mayBeReport } from '../letter-mail-filter.ts'
import type { FetchedMail, MailFilter } from '../mailbox.ts'
import { parseHeader } from '../mime/parse-mail.ts'
import { type Pop3Client, type Pop3Mail, pop3Pipeline } from './pop3-client.ts'
import type { UidlCache } from './uidl-cache.ts'

/** A bounce names the mail that it is about within this many lines. */
const reportLines = 1_000

export class Pop3Session {
  isOurReport: ((raw: Uint8Array) => boolean) | undefined
  readonly #connection: Pop3Client
  readonly #filter: MailFilter
  readonly #uidlCache: UidlCache
  /** Oldest first, in the order of the server. */
  readonly #mails: readonly Pop3Mail[]
  readonly #byUid: ReadonlyMap<string, Pop3Mail>
  /** UIDs of our mails in this list. */
  readonly #ours = new Set<string>()
  /** UIDs of mails that we or others deleted. */
  readonly #gone = new Set<string>()
  #deleted = 0

  constructor(connection: Pop3Client, mails: readonly Pop3Mail[], filter: MailFilter, uidlCache: UidlCache) {
    this.#connection = connection
    this.#filter = filter
    this.#uidlCache = uidlCache
    const byUid = new Map<string, Pop3Mail>()
    // Some servers make the ID from the bytes, so two copies have the same ID. A later session handles the second copy.
    for (const mail of mails) if (!byUid.has(mail.uid)) byUid.set(mail.uid, mail)
    this.#byUid = byUid
    this.#mails = [...byUid.values()]
    uidlCache.keepOnly(new Set(byUid.keys()))
  }

  has(uid: string): boolean {
    return this.#byUid.has(uid)
  }

  /** Whether mails were marked as deleted. */
  get hasDeleted(): boolean {
    return this.#deleted > 0
  }

  /** Whether a mail waits that is not known to be foreign. */
  hasWaiting(except: (uid: string) => boolean): boolean {
    return this.#mails.some(({ uid }) => this.#isWaiting(uid) && !except(uid))
  }

  /** The number of mails that are not known to be foreign. */
  get waiting(): number {
    return this.#mails.reduce((sum, { uid }) => sum + (this.#isWaiting(uid) ? 1 : 0), 0)
  }

  /** At most `limit` of our mails, oldest first, or the newest and the oldest alternately. */
  async fetch(
    limit: number,
    except: (uid: string) => boolean,
    mayTakeNewest?: MayTakeNewest,
  ): Promise<FetchedMail[]> {
    const fetched: FetchedMail[] = []
    const oldestFirst = this.#mails.filter(({ uid }) => this.#isWaiting(uid) && !except(uid))
    const waiting = [...fairOrder(oldestFirst, mayTakeNewest)]
    for (let at = 0; at < waiting.length && fetched.length < limit; at += pop3Pipeline) {
      const batch = waiting.slice(at, at + pop3Pipeline)
      const unknown = batch.filter(({ uid }) => !this.#ours.has(uid))
      await Promise.all(unknown.map((mail) => this.#classify(mail)))
      const ours = batch.filter(({ uid }) => this.#ours.has(uid)).slice(0, limit - fetched.length)
      const mails = await Promise.all(ours.map((mail) => this.#read(mail)))
      fetched.push(...mails.filter((mail) => mail !== null))
    }
    return fetched
  }

  async remove(uids: readonly string[]): Promise<void> {
    const listed = uids.flatMap((uid) => this.#byUid.get(uid) ?? []).filter(({ uid }) => !this.#gone.has(uid))
    for (const { uid } of listed) this.#gone.add(uid)
    this.#deleted += listed.length
    await Promise.all(listed.map(({ number }) => this.#connection.markDeleted(number)))
  }

  /** Ends the session and deletes the removed mails. */
  quit(): Promise<void> {
    return this.#connection.quit()
  }

  destroy(): void {
    this.#connection.destroy()
  }

  #isWaiting(uid: string): boolean {
    return !this.#uidlCache.has(uid) && !this.#gone.has(uid)
  }

  /** Decides by the header whether a mail is ours. If the server does not know TOP, downloads mails that are small
   *  enough to be letters. */
  async #classify(mail: Pop3Mail): Promise<void> {
    const canTop = this.#connection.capabilities.size === 0 || this.#connection.capabilities.has('TOP')
    const isSmall = mail.sizeBytes <= this.#filter.maxBytes
    const header = canTop
      ? await this.#connection.top(mail, 0)
      : isSmall
        ? await this.#connection.retrieve(mail, this.#filter.maxBytes)
        : null
    // The mail was deleted by another program, or the server cannot read it now.
    if (header === null && (canTop || isSmall)) this.#gone.add(mail.uid)
    else if (header !== null && (await this.#isOurs(mail, header))) this.#ours.add(mail.uid)
    else this.#uidlCache.noteForeign(mail.uid)
  }

  async #isOurs(mail: Pop3Mail, start: Uint8Array): Promise<boolean> {
    const header = await parseHeader(start)
    if (isOurs(header, this.#filter)) return true
    if (!this.isOurReport || !mayBeReport(header, this.#filter)) return false
    const report = await this.#connection.top(mail, reportLines)
    return report !== null && this.isOurReport(report)
  }

  async #read(mail: Pop3Mail): Promise<FetchedMail | null> {
    const { uid: ref, sizeBytes } = mail
    if (sizeBytes > this.#filter.maxBytes) return { ref, raw: null, sizeBytes }
    const raw = await this.#connection.retrieve(mail, this.#filter.maxBytes)
    if (raw !== null)
      return { ref, raw: raw.length <= this.#filter.maxBytes ? raw : null, sizeBytes: raw.length }
    this.#gone.add(ref)
    return null
  }
}
