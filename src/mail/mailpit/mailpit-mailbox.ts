// Mailpit as a Mailbox, to try peerpost on the mail server of a developer. Mailpit has the mails of all recipients,
// so ours are selected by exact address. Its WebSocket announces new mail, and polling finds mail that was not
// announced. Mailpit relays no mail, so there are no bounces.

import type { Clock } from '../../base/clock.ts'
import { fairOrder } from '../../base/fair-order.ts'
import { sameAddress } from '../../base/mail-address.ts'
import { messageOf, Problem } from '../../base/problem.ts'
import { isOurs } from '../letter-mail-filter.ts'
import { type MailpitUrl, serverName } from '../mail-url.ts'
import type { FetchedMail, Mailbox, MailboxHandlers, MailFilter } from '../mailbox.ts'
import { parseHeader, parseMail } from '../mime/parse-mail.ts'
import { type Backoff, backoffMs } from '../reconnect-backoff.ts'
import { MailpitApi, type MailpitSummary, mostMailpitMails, recipientsOf } from './mailpit-api.ts'

export type MailpitTimings = {
  readonly answerMs: number
  /** Between two polls while the WebSocket is open. */
  readonly listenMs: number
  /** Between two polls while it is not open. */
  readonly pollMs: number
  readonly retry: Backoff
}

const mailpitTimings: MailpitTimings = {
  answerMs: 20_000,
  listenMs: 15_000,
  pollMs: 2_000,
  retry: { firstMs: 1_000, lastMs: 30_000 },
}

type MailpitMailboxOptions = {
  readonly clock: Clock
  /** Uniform in [0, 1), to scatter retries. */
  readonly random: () => number
  readonly timing?: Partial<MailpitTimings>
}

export class MailpitMailbox implements Mailbox {
  #handlers: MailboxHandlers = {}
  readonly #url: MailpitUrl
  readonly #filter: MailFilter
  readonly #options: MailpitMailboxOptions
  readonly #timing: MailpitTimings
  readonly #api: MailpitApi
  #state: 'new' | 'open' | 'closed' = 'new'
  /** Why Mailpit cannot be used; null if it can. */
  #lostBecause: string | null = 'it is not open'
  #attempt = 0
  #socket: WebSocket | null = null
  #cancelPoll: () => void = () => undefined
  /** Mails that were found and not removed, oldest first. At most those of one search. */
  #waiting: MailpitSummary[] = []
  /** There may be new mails that are not in `#waiting`. */
  #announced = true
  #searchedAt = Number.NEGATIVE_INFINITY
  /** IDs of mails of the last search that look like ours, but are foreign. */
  #foreign = new Set<string>()
  /** The last operation. Each one waits for the one before. */
  #tail: Promise<unknown> = Promise.resolve()

  constructor(url: MailpitUrl, filter: MailFilter, options: MailpitMailboxOptions) {
    this.#url = url
    this.#filter = filter
    this.#options = options
    this.#timing = { ...mailpitTimings, ...options.timing }
    this.#api = new MailpitApi(url, options.clock, this.#timing)
  }

  async open(handlers: MailboxHandlers = {}): Promise<void> {
    if (this.#state !== 'new')
      throw new Problem('internal', 'A mailbox was opened twice.', 'Please report this.')
    this.#state = 'open'
    this.#handlers = handlers
    try {
      await this.#api.ready()
    } catch (error) {
      this.#state = 'closed'
      throw error
    }
    this.#connected()
  }

  fetch(limit: number, except: ReadonlySet<string> = new Set()): Promise<readonly FetchedMail[]> {
    return this.#runInOrder(async () => {
      await this.#searchIfDue()
      const mails: FetchedMail[] = []
      for (const summary of fairOrder([...this.#waiting], this.#handlers.mayTakeNewest)) {
        if (mails.length >= limit) break
        if (except.has(summary.id)) continue
        const mail = await this.#read(summary)
        if (mail) mails.push(mail)
      }
      return mails
    })
  }

  remove(refs: readonly string[]): Promise<void> {
    return this.#runInOrder(async () => {
      // Delete only mails that were shown, because the store also has the mails of others.
      const ours = new Set(this.#waiting.map(({ id }) => id))
      const known = refs.filter((ref) => ours.has(ref))
      if (known.length === 0) return
      await this.#try(() => this.#api.delete(known))
      const gone = new Set(known)
      this.#waiting = this.#waiting.filter(({ id }) => !gone.has(id))
    })
  }

  check(): void {
    if (this.#state !== 'open') return
    this.#closeConnections()
    this.#pollIn(0)
  }

  async close(): Promise<void> {
    this.#state = 'closed'
    this.#lostBecause = 'it was closed'
    this.#cancelPoll()
    await this.#tail
    this.#closeConnections()
  }

  async #searchIfDue(): Promise<void> {
    if (this.#state !== 'open' || this.#lostBecause !== null) throw this.#notConnected()
    const { clock } = this.#options
    const isOld = clock.now() - this.#searchedAt >= this.#timing.listenMs
    const wasCut = this.#waiting.length === 0 && this.#foreign.size >= mostMailpitMails
    if (!this.#announced && !isOld && !wasCut) return
    // Reset before the search: mail that is announced meanwhile must cause another search.
    this.#announced = false
    try {
      const found = await this.#try(() => this.#api.search(this.#searchText()))
      this.#searchedAt = clock.now()
      const present = new Set(found.map(({ id }) => id))
      for (const id of this.#foreign) if (!present.has(id)) this.#foreign.delete(id)
      this.#waiting = found.filter((summary) => !this.#foreign.has(summary.id) && this.#mayBeOurs(summary))
    } catch (error) {
      this.#announced = true
      throw error
    }
  }

  /** Mailpit's search cannot express a quote, so this is the longest part of the subject without one. */
  #searchText(): string | null {
    const parts = this.#filter.subject.split(/["\\]/).sort((a, b) => b.length - a.length)
    return parts[0]?.trim() || null
  }

  /** A first check by the summary, to save downloads. The bytes of the mail decide. */
  #mayBeOurs({ subject, recipients }: MailpitSummary): boolean {
    if (!recipients.some((address) => sameAddress(address, this.#filter.address))) return false
    const plain = (text: string) => text.replace(/\s+/g, ' ').trim()
    return plain(subject) === plain(this.#filter.subject)
  }

  async #read({ id, sizeBytes }: MailpitSummary): Promise<FetchedMail | null> {
    const { maxBytes } = this.#filter
    const raw = await this.#try(() => this.#api.raw(id, maxBytes))
    if (raw === null) {
      this.#waiting = this.#waiting.filter((summary) => summary.id !== id)
      return null
    }
    const parsed = raw.length <= maxBytes ? await parseMail(raw, maxBytes) : null
    if (isOurs(parsed?.header ?? (await parseHeader(raw)), this.#filter)) {
      return parsed ? { ref: id, raw, sizeBytes: raw.length, parsed } : { ref: id, raw: null, sizeBytes }
    }
    this.#foreign.add(id)
    this.#waiting = this.#waiting.filter((summary) => summary.id !== id)
    return null
  }

  async #try<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      this.#lost(error)
      throw error
    }
  }

  #connected(): void {
    this.#attempt = 0
    this.#announced = true
    if (this.#lostBecause !== null && this.#state === 'open') {
      this.#lostBecause = null
      this.#handlers.onState?.({ state: 'connected' })
    }
    this.#listen()
    this.#pollLater()
    this.#handlers.onWake?.()
  }

  /** The WebSocket is only a hint. Without it we poll more often. */
  #listen(): void {
    if (this.#socket || this.#state !== 'open') return
    const socket = this.#api.events()
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => {
      if (this.#socket !== socket || !mayConcern(data, this.#filter.address)) return
      this.#announced = true
      this.#handlers.onWake?.()
    })
    const ended = () => {
      if (this.#socket !== socket) return
      this.#socket = null
      this.#pollIn(this.#timing.pollMs)
    }
    socket.addEventListener('close', ended)
    socket.addEventListener('error', ended)
  }

  #closeConnections(): void {
    const socket = this.#socket
    this.#socket = null
    socket?.close()
    this.#api.closeConnections()
  }

  #pollLater(): void {
    const isListening = this.#socket?.readyState === WebSocket.OPEN
    this.#pollIn(isListening ? this.#timing.listenMs : this.#timing.pollMs)
  }

  #pollIn(delayMs: number): void {
    if (this.#state !== 'open') return
    this.#cancelPoll()
    this.#cancelPoll = this.#options.clock.after(delayMs, () => {
      // A failure is reported by `onState`.
      this.#runInOrder(() => this.#poll()).catch(() => undefined)
    })
  }

  async #poll(): Promise<void> {
    if (this.#state !== 'open') return
    await this.#try(() => this.#api.ready())
    this.#connected()
  }

  #lost(error: unknown): void {
    if (this.#state !== 'open') return
    this.#closeConnections()
    this.#lostBecause = messageOf(error).replace(/\.$/, '')
    const retryInMs = backoffMs(this.#attempt++, this.#timing.retry, this.#options.random)
    this.#pollIn(retryInMs)
    this.#handlers.onState?.({ state: 'disconnected', reason: this.#lostBecause, retryInMs })
  }

  #notConnected(): Problem {
    const what = `There is no connection to Mailpit at ${serverName(this.#url)}: ${this.#lostBecause ?? 'it was closed'}.`
    return new Problem('mail-connection', what, 'It is tried again by itself.')
  }

  #runInOrder<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#tail.then(work)
    this.#tail = run.catch(() => undefined)
    return run
  }
}

/** Whether an event may announce new mail for this address. */
function mayConcern(data: unknown, address: string): boolean {
  try {
    const event = JSON.parse(String(data)) as { Type?: unknown; Data?: unknown }
    if (event.Type !== 'new') return false
    const recipients = recipientsOf(event.Data)
    return recipients.length === 0 || recipients.some((recipient) => sameAddress(recipient, address))
  } catch {
    return true
  }
}
