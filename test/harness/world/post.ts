// A mail system as it is on bad days: mails are late, overtake each other, come twice or never; servers do not
// take them or cannot be reached; hints of new mail get lost. What it does is drawn from a seed.

import type { Clock } from '../../../src/base/clock.ts'
import type { FetchedMail, Mailbox, MailboxHandlers } from '../../../src/mail/mailbox.ts'
import type { MailToCompose } from '../../../src/mail/mime/compose-mail.ts'
import type { MailSender, OutgoingMail, SendOutcome } from '../../../src/mail/sender.ts'
import { composed } from '../../host/fakes.ts'

/** Parts are 0..1. */
export type PostWeather = {
  /** Of each copy, drawn anew, so that mails overtake each other. */
  readonly delayMs: readonly [least: number, most: number]
  readonly lost: number
  readonly doubled: number
  /** Attempts to send that the server puts off. */
  readonly putOff: number
  /** Arrivals that the mailbox gives no hint of. */
  readonly unhinted: number
}

export const fineWeather: PostWeather = { delayMs: [200, 800], lost: 0, doubled: 0, putOff: 0, unhinted: 0 }

/** Virtual time a server takes to accept a mail, or to show a mailbox. */
const serverMs = 20

export class Post {
  readonly #clock: Clock
  readonly #random: () => number
  weather: PostWeather = fineWeather
  /** Everything a server took, in order. */
  readonly taken: OutgoingMail[] = []
  /** Addresses nothing can be sent to, for good. */
  readonly refused = new Set<string>()
  readonly #boxes = new Map<string, FetchedMail[]>()
  readonly #readers = new Map<string, Set<PostMailbox>>()
  readonly #down = new Set<string>()
  #next = 1

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock
    this.#random = random
  }

  /** `clock`: of the program that opens it. */
  mailbox(address: string, clock: Clock): PostMailbox {
    const mailbox = new PostMailbox(this, address, clock)
    this.readersOf(address).add(mailbox)
    return mailbox
  }

  sender(clock: Clock): PostSender {
    return new PostSender(this, clock)
  }

  mailsOf(address: string): FetchedMail[] {
    const mails = this.#boxes.get(address) ?? []
    this.#boxes.set(address, mails)
    return mails
  }

  readersOf(address: string): Set<PostMailbox> {
    const readers = this.#readers.get(address) ?? new Set()
    this.#readers.set(address, readers)
    return readers
  }

  isDown(address: string): boolean {
    return this.#down.has(address)
  }

  /** The servers of this address cannot be reached, for reading and for sending, or can again. */
  setDown(address: string, isDown: boolean): void {
    if (isDown) this.#down.add(address)
    else this.#down.delete(address)
    for (const reader of this.readersOf(address)) reader.tellState()
  }

  take(mail: OutgoingMail): SendOutcome {
    if (this.#down.has(mail.from)) return { outcome: 'later', reason: 'the server cannot be reached' }
    if (this.#random() < this.weather.putOff) return { outcome: 'later', reason: '451 try again' }
    if (mail.to.some((to) => this.refused.has(to)))
      return { outcome: 'refused', reason: '550 no such user', about: 'recipient' }
    this.taken.push(mail)
    for (const to of mail.to) this.carry(to, mail.raw)
    return { outcome: 'sent' }
  }

  /** From anybody, to arrive as the weather lets it. */
  carry(to: string, raw: Uint8Array): void {
    const { delayMs, lost, doubled } = this.weather
    const copies = this.#random() < lost ? 0 : this.#random() < doubled ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      const [least, most] = delayMs
      this.#clock.after(least + this.#random() * (most - least), () => this.deliver(to, raw))
    }
  }

  deliver(to: string, raw: Uint8Array): void {
    this.mailsOf(to).push({ ref: String(this.#next++), raw, sizeBytes: raw.length })
    if (this.#random() < this.weather.unhinted) return
    for (const reader of this.readersOf(to)) reader.hint()
  }
}

export class PostMailbox implements Mailbox {
  #handlers: MailboxHandlers = {}
  readonly #post: Post
  readonly #address: string
  readonly #line: Line
  #isOpen = false

  constructor(post: Post, address: string, clock: Clock) {
    this.#post = post
    this.#address = address
    this.#line = new Line(clock)
  }

  async open(handlers: MailboxHandlers = {}): Promise<void> {
    this.#handlers = handlers
    await this.#line.ask()
    this.#isOpen = true
    this.tellState()
  }

  async fetch(limit: number, except: ReadonlySet<string> = new Set()): Promise<readonly FetchedMail[]> {
    await this.#reach()
    const mails = this.#post.mailsOf(this.#address)
    return mails.filter(({ ref }) => !except.has(ref)).slice(0, limit)
  }

  async remove(refs: readonly string[]): Promise<void> {
    if (refs.length === 0) return
    await this.#reach()
    const mails = this.#post.mailsOf(this.#address)
    const left = mails.filter(({ ref }) => !refs.includes(ref))
    mails.splice(0, mails.length, ...left)
  }

  async close(): Promise<void> {
    this.#isOpen = false
    this.#line.close()
    this.#post.readersOf(this.#address).delete(this)
  }

  hint(): void {
    if (this.#isOpen && !this.#post.isDown(this.#address)) this.#handlers.onWake?.()
  }

  tellState(): void {
    if (!this.#isOpen) return
    if (this.#post.isDown(this.#address)) {
      this.#handlers.onState?.({
        state: 'disconnected',
        reason: 'the server cannot be reached',
        retryInMs: 1_000,
      })
    } else {
      this.#handlers.onState?.({ state: 'connected' })
      this.#handlers.onWake?.()
    }
  }

  async #reach(): Promise<void> {
    await this.#line.ask()
    if (!this.#isOpen || this.#post.isDown(this.#address)) throw new Error('there is no connection')
  }
}

export class PostSender implements MailSender {
  readonly concurrency = 3
  readonly #post: Post
  readonly #line: Line

  constructor(post: Post, clock: Clock) {
    this.#post = post
    this.#line = new Line(clock)
  }

  async send(mail: MailToCompose | OutgoingMail): Promise<SendOutcome> {
    const finished = await composed(mail)
    return this.#line.ask().then(
      () => this.#post.take(finished),
      () => ({ outcome: 'later', reason: 'it was closed' }),
    )
  }

  async verify(): Promise<void> {
    await this.#line.ask()
  }

  async close(): Promise<void> {
    this.#line.close()
  }
}

/** Between a program and a server, each question takes its time. */
class Line {
  readonly #clock: Clock
  readonly #hangUps = new Set<() => void>()
  #isClosed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Rejects when the line is closed meanwhile; never ends when the program is killed. */
  ask(): Promise<void> {
    if (this.#isClosed) return Promise.reject(new Error('it was closed'))
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(serverMs, () => {
        this.#hangUps.delete(hangUp)
        resolve()
      })
      const hangUp = () => {
        cancel()
        reject(new Error('it was closed'))
      }
      this.#hangUps.add(hangUp)
    })
  }

  close(): void {
    this.#isClosed = true
    for (const hangUp of this.#hangUps) hangUp()
    this.#hangUps.clear()
  }
}
