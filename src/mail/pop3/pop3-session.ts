// One look into a POP3 maildrop: its listing, which of it is ours, and what is to be deleted when it ends. The maildrop
// is locked meanwhile and shows nothing new, so sessions are short.

import { fairOrder, type MayTakeNewest } from '../../base/fair-order.ts'
import { isOurs, mayBeReport } from '../letter-mail-filter.ts'
import type { FetchedMail, MailFilter } from '../mailbox.ts'
import { parseHeader } from '../mime/parse-mail.ts'
import { type Pop3Client, type Pop3Mail, pop3Pipeline } from './pop3-client.ts'
import type { UidlCache } from './uidl-cache.ts'

/** A bounce tells within these what it is about. */
const reportLines = 1_000

export class Pop3Session {
  isOurReport: ((raw: Uint8Array) => boolean) | undefined
  readonly #connection: Pop3Client
  readonly #filter: MailFilter
  readonly #memory: UidlCache
  /** Oldest first, as servers number them. */
  readonly #mails: readonly Pop3Mail[]
  readonly #byUid: ReadonlyMap<string, Pop3Mail>
  /** Of this listing, as are these: */
  readonly #ours = new Set<string>()
  /** Deleted, by us or by others. */
  readonly #gone = new Set<string>()
  #deleted = 0

  constructor(connection: Pop3Client, mails: readonly Pop3Mail[], filter: MailFilter, memory: UidlCache) {
    this.#connection = connection
    this.#filter = filter
    this.#memory = memory
    const byUid = new Map<string, Pop3Mail>()
    // Servers that make the ID from the bytes list two copies under one: the second has its turn in a later session.
    for (const mail of mails) if (!byUid.has(mail.uid)) byUid.set(mail.uid, mail)
    this.#byUid = byUid
    this.#mails = [...byUid.values()]
    memory.keepOnly(new Set(byUid.keys()))
  }

  has(uid: string): boolean {
    return this.#byUid.has(uid)
  }

  /** Whether mails were marked as deleted. */
  get hasDeleted(): boolean {
    return this.#deleted > 0
  }

  /** Whether there is anything that is not known to be foreign. */
  hasWaiting(except: (uid: string) => boolean): boolean {
    return this.#mails.some(({ uid }) => this.#isWaiting(uid) && !except(uid))
  }

  /** Not known to be foreign. */
  get waiting(): number {
    return this.#mails.reduce((sum, { uid }) => sum + (this.#isWaiting(uid) ? 1 : 0), 0)
  }

  /** Ours, oldest first or in turns, at most `limit`. */
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
      await Promise.all(unknown.map((mail) => this.#tell(mail)))
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

  /** Deletes what was removed. */
  quit(): Promise<void> {
    return this.#connection.quit()
  }

  destroy(): void {
    this.#connection.destroy()
  }

  #isWaiting(uid: string): boolean {
    return !this.#memory.has(uid) && !this.#gone.has(uid)
  }

  /** From the header alone; where the server knows no TOP, from mails that are small enough to be letters. */
  async #tell(mail: Pop3Mail): Promise<void> {
    const canTop = this.#connection.capabilities.size === 0 || this.#connection.capabilities.has('TOP')
    const isSmall = mail.sizeBytes <= this.#filter.maxBytes
    const header = canTop
      ? await this.#connection.top(mail, 0)
      : isSmall
        ? await this.#connection.retrieve(mail, this.#filter.maxBytes)
        : null
    // Deleted by another program, or not to be had just now.
    if (header === null && (canTop || isSmall)) this.#gone.add(mail.uid)
    else if (header !== null && (await this.#isOurs(mail, header))) this.#ours.add(mail.uid)
    else this.#memory.noteForeign(mail.uid)
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
