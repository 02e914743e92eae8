// One mailbox that several readers in one program share (A15). Each reader has a view, and a mail goes to the reader
// whose keys open it. A mail that no keys open is shown to all readers, and removed when all have removed it. A mail
// from one reader to another is handed over here and is not sent.

import { fairOrder } from '../../base/fair-order.ts'
import { limits } from '../../letter/limits.ts'
import type { FetchedMail, Mailbox, MailboxHandlers, MailboxState } from '../mailbox.ts'
import { isReportLike } from '../mime/automatic-mail.ts'
import { parseMail } from '../mime/parse-mail.ts'

export const sharedLimits = {
  /** Mails that were sorted and not removed yet. Beyond this no more are fetched. */
  mails: 20_000,
  /** Bytes of sorted mails in memory. Beyond this the oldest mails of other readers are dropped and fetched again
   *  later. */
  bytes: 8_000_000,
  /** Mails that were handed over and not removed yet. Beyond this the sender must try again. */
  handedOver: 256,
} as const

type Sorted = {
  readonly ref: string
  /** Readers that have not removed it yet. */
  readonly readers: Set<string>
  /** Null if it must be fetched again. */
  mail: FetchedMail | null
}

export class SharedMailbox {
  readonly #make: () => Mailbox
  readonly #views = new Map<string, View>()
  /** By reader. Kept while its view is closed, so that its mails wait for it. */
  readonly #opens = new Map<string, (text: string) => boolean>()
  /** Mails in the mailbox, oldest first. */
  readonly #sorted = new Map<string, Sorted>()
  #bytes = 0
  /** Mails that were handed over, by ref, oldest first. */
  readonly #handedOver = new Map<string, Sorted>()
  #nextHandedOver = 1
  #mailbox: Mailbox | null = null
  #opening: Promise<void> = Promise.resolve()
  #state: MailboxState | null = null
  /** The last fetch. Each one waits for the one before, so that no mail is sorted twice. */
  #lastFetch: Promise<unknown> = Promise.resolve()

  /** `make`: creates a mailbox that is not yet open. Called again after all views were closed. */
  constructor(make: () => Mailbox) {
    this.#make = make
  }

  /** Creates a view that is not yet open. A reader has one view at a time. */
  view(reader: string): Mailbox {
    return new View(this, reader)
  }

  /** Hands over a mail from one reader to another. False if too many wait. */
  handOver(raw: Uint8Array): boolean {
    if (this.#handedOver.size >= sharedLimits.handedOver) return false
    const ref = `handed over ${this.#nextHandedOver++}`
    const mail = { ref, raw, sizeBytes: raw.length }
    this.#handedOver.set(ref, { ref, readers: new Set(), mail })
    for (const view of this.#views.values()) view.handlers.onWake?.()
    return true
  }

  async open(view: View): Promise<void> {
    this.#views.set(view.reader, view)
    if (view.handlers.opens) this.#opens.set(view.reader, view.handlers.opens)
    if (this.#mailbox === null) {
      const mailbox = this.#make()
      this.#mailbox = mailbox
      this.#state = null
      this.#opening = mailbox.open({
        onWake: () => this.#each(({ handlers }) => handlers.onWake?.()),
        onState: (state) => {
          this.#state = state
          this.#each(({ handlers }) => handlers.onState?.(state))
        },
        isOurReport: (raw) =>
          [...this.#views.values()].some((one) => one.handlers.isOurReport?.(raw) === true),
        mayTakeNewest: (waiting) =>
          [...this.#views.values()].some((one) => one.handlers.mayTakeNewest?.(waiting) === true),
      })
    } else if (this.#state) view.handlers.onState?.(this.#state)
    await this.#opening
    view.handlers.onWake?.()
  }

  async close(view: View): Promise<void> {
    if (this.#views.get(view.reader) !== view) return
    this.#views.delete(view.reader)
    // The mails of this reader are sorted again when it has its next view.
    for (const one of this.#sorted.values()) if (one.readers.delete(view.reader)) this.#forget(one)
    if (this.#views.size > 0) return
    const mailbox = this.#mailbox
    this.#mailbox = null
    for (const one of this.#sorted.values()) this.#forget(one)
    await mailbox?.close()
  }

  fetch(view: View, limit: number, except: ReadonlySet<string>): Promise<readonly FetchedMail[]> {
    const mine = this.#lastFetch.then(() => this.#fetch(view, limit, except))
    this.#lastFetch = mine.catch(() => undefined)
    return mine
  }

  async remove(view: View, refs: readonly string[]): Promise<void> {
    const finished: string[] = []
    for (const ref of refs) {
      const sorted = this.#sorted.get(ref) ?? this.#handedOver.get(ref)
      const isLast = ![...(sorted?.readers ?? [])].some((reader) => reader !== view.reader)
      if (!isLast) sorted?.readers.delete(view.reader)
      else if (!this.#handedOver.delete(ref)) finished.push(ref)
    }
    if (finished.length === 0 || this.#mailbox === null) return
    await this.#mailbox.remove(finished)
    for (const ref of finished) {
      const sorted = this.#sorted.get(ref)
      if (sorted) this.#forget(sorted)
    }
  }

  check(): void {
    this.#mailbox?.check?.()
  }

  async #fetch(view: View, limit: number, except: ReadonlySet<string>): Promise<readonly FetchedMail[]> {
    const wanted = ({ ref, readers }: Sorted) => readers.has(view.reader) && !except.has(ref)
    await this.#sortHandedOver()
    for (;;) {
      const ready = [...this.#handedOver.values(), ...this.#sorted.values()]
        .filter(wanted)
        .flatMap(({ mail }) => mail ?? [])
      if (ready.length > 0) return [...fairOrder(ready, view.handlers.mayTakeNewest)].slice(0, limit)
      const mailbox = this.#mailbox
      const again = [...this.#sorted.values()].filter(wanted)
      if (mailbox === null || (again.length === 0 && this.#sorted.size >= sharedLimits.mails)) return []
      const hidden = new Set([...except, ...this.#sorted.keys()])
      for (const { ref } of again) hidden.delete(ref)
      const mails = await mailbox.fetch(limit, hidden)
      // Another program removed them.
      if (mails.length === 0) for (const gone of again) this.#forget(gone)
      if (mails.length === 0 || this.#mailbox !== mailbox) return []
      for (const mail of mails) await this.#sort(mail, view.reader)
    }
  }

  async #sort(mail: FetchedMail, fetchedBy: string): Promise<void> {
    const { ref } = mail
    const known = this.#sorted.get(ref)
    const parsed = known ? mail : await withParsed(mail)
    const sorted = known ?? { ref, readers: new Set(this.#readersOf(parsed)), mail: null }
    if (sorted.mail === null) this.#bytes += mail.raw?.length ?? 0
    sorted.mail = parsed
    this.#sorted.set(ref, sorted)
    for (const one of this.#sorted.values()) {
      if (this.#bytes <= sharedLimits.bytes) break
      if (!one.readers.has(fetchedBy)) this.#unload(one)
    }
  }

  /** Sorts mails without a reader again each time, because their reader may have a view only now. */
  async #sortHandedOver(): Promise<void> {
    for (const one of this.#handedOver.values()) {
      if (one.mail === null || one.readers.size > 0) continue
      one.mail = await withParsed(one.mail)
      for (const reader of this.#readersOf(one.mail)) one.readers.add(reader)
    }
  }

  #readersOf({ raw, parsed }: FetchedMail): readonly string[] {
    const open = [...this.#views.keys()]
    if (raw === null || !parsed) return open
    const { header, content } = parsed
    const isReport = (view: View) => isReportLike(header) && view.handlers.isOurReport?.(raw) === true
    const reporting = [...this.#views.values()].filter(isReport)
    if (reporting.length > 0) return reporting.map(({ reader }) => reader)
    if (!content.ok) return open
    const { text } = content.mail
    const readers = [...this.#opens].filter(([, opens]) => opens(text)).map(([reader]) => reader)
    return readers.length > 0 ? readers : open
  }

  #unload(sorted: Sorted): void {
    this.#bytes -= sorted.mail?.raw?.length ?? 0
    sorted.mail = null
  }

  #forget(sorted: Sorted): void {
    this.#unload(sorted)
    this.#sorted.delete(sorted.ref)
  }

  #each(notify: (view: View) => void): void {
    for (const view of this.#views.values()) notify(view)
  }
}

async function withParsed(mail: FetchedMail): Promise<FetchedMail> {
  const { raw, parsed } = mail
  return raw === null || parsed ? mail : { ...mail, parsed: await parseMail(raw, limits.mailBytes) }
}

class View implements Mailbox {
  handlers: MailboxHandlers = {}
  readonly reader: string
  readonly #shared: SharedMailbox

  constructor(shared: SharedMailbox, reader: string) {
    this.#shared = shared
    this.reader = reader
  }

  open(handlers: MailboxHandlers = {}): Promise<void> {
    this.handlers = handlers
    return this.#shared.open(this)
  }

  fetch(limit: number, except: ReadonlySet<string> = new Set()): Promise<readonly FetchedMail[]> {
    return this.#shared.fetch(this, limit, except)
  }

  remove(refs: readonly string[]): Promise<void> {
    return this.#shared.remove(this, refs)
  }

  check(): void {
    this.#shared.check()
  }

  close(): Promise<void> {
    return this.#shared.close(this)
  }
}
