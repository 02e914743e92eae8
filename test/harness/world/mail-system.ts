// A simulated, unreliable mail system: mails are late, overtake each other, are duplicated or lost; servers
// refuse mail or are unreachable; notifications of new mail get lost. Its behavior is drawn from a seed.

import type { Clock } from '../../../src/base/clock.ts'
import type { FetchedMail, Mailbox, MailboxHandlers } from '../../../src/mail/mailbox.ts'
import type { MailToCompose } from '../../../src/mail/mime/compose-mail.ts'
import type { MailSender, OutgoingMail, SendOutcome } from '../../../src/mail/sender.ts'
import { composed } from '../../host/fakes.ts'

/** Shares are 0..1. */
export type MailConditions = {
  /** Delay of each copy, drawn separately, so that mails overtake each other. */
  readonly delayMs: readonly [least: number, most: number]
  readonly lost: number
  readonly doubled: number
  /** Share of attempts that the server defers. */
  readonly putOff: number
  /** Share of arrivals without a notification. */
  readonly unhinted: number
}

export const goodMailConditions: MailConditions = {
  delayMs: [200, 800],
  lost: 0,
  doubled: 0,
  putOff: 0,
  unhinted: 0,
}

/** Virtual time for a server to accept a mail or to list a mailbox. */
const serverMs = 20

export class MailSystem {
  readonly #clock: Clock
  readonly #random: () => number
  weather: MailConditions = goodMailConditions
  /** All accepted mails, in order. */
  readonly taken: OutgoingMail[] = []
  /** Recipients that are refused permanently. */
  readonly refused = new Set<string>()
  readonly #mailboxes = new Map<string, FetchedMail[]>()
  readonly #readers = new Map<string, Set<SimulatedMailbox>>()
  readonly #down = new Set<string>()
  #next = 1

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock
    this.#random = random
  }

  /** `clock`: that of the program which opens the mailbox. */
  mailbox(address: string, clock: Clock): SimulatedMailbox {
    const mailbox = new SimulatedMailbox(this, address, clock)
    this.readersOf(address).add(mailbox)
    return mailbox
  }

  sender(clock: Clock): SimulatedSender {
    return new SimulatedSender(this, clock)
  }

  mailsOf(address: string): FetchedMail[] {
    const mails = this.#mailboxes.get(address) ?? []
    this.#mailboxes.set(address, mails)
    return mails
  }

  readersOf(address: string): Set<SimulatedMailbox> {
    const readers = this.#readers.get(address) ?? new Set()
    this.#readers.set(address, readers)
    return readers
  }

  isDown(address: string): boolean {
    return this.#down.has(address)
  }

  /** Makes the servers of this address unreachable, for reading and sending, or reachable again. */
  setDown(address: string, isDown: boolean): void {
    if (isDown) this.#down.add(address)
    else this.#down.delete(address)
    for (const reader of this.readersOf(address)) reader.emitState()
  }

  take(mail: OutgoingMail): SendOutcome {
    if (this.#down.has(mail.from)) return { outcome: 'later', reason: 'the server cannot be reached' }
    if (this.#random() < this.weather.putOff) return { outcome: 'later', reason: '451 try again' }
    if (mail.to.some((to) => this.refused.has(to)))
      return { outcome: 'refused', reason: '550 no such user', about: 'recipient' }
    this.taken.push(mail)
    for (const to of mail.to) this.send(to, mail.raw)
    return { outcome: 'sent' }
  }

  /** Delivers a mail of any sender under the present conditions. */
  send(to: string, raw: Uint8Array): void {
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

export class SimulatedMailbox implements Mailbox {
  #handlers: MailboxHandlers = {}
  readonly #post: MailSystem
  readonly #address: string
  readonly #connection: ServerConnection
  #isOpen = false

  constructor(post: MailSystem, address: string, clock: Clock) {
    this.#post = post
    this.#address = address
    this.#connection = new ServerConnection(clock)
  }

  async open(handlers: MailboxHandlers = {}): Promise<void> {
    this.#handlers = handlers
    await this.#connection.request()
    this.#isOpen = true
    this.emitState()
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
    this.#connection.close()
    this.#post.readersOf(this.#address).delete(this)
  }

  hint(): void {
    if (this.#isOpen && !this.#post.isDown(this.#address)) this.#handlers.onWake?.()
  }

  emitState(): void {
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
    await this.#connection.request()
    if (!this.#isOpen || this.#post.isDown(this.#address)) throw new Error('there is no connection')
  }
}

export class SimulatedSender implements MailSender {
  readonly concurrency = 3
  readonly #post: MailSystem
  readonly #connection: ServerConnection

  constructor(post: MailSystem, clock: Clock) {
    this.#post = post
    this.#connection = new ServerConnection(clock)
  }

  async send(mail: MailToCompose | OutgoingMail): Promise<SendOutcome> {
    const finished = await composed(mail)
    return this.#connection.request().then(
      () => this.#post.take(finished),
      () => ({ outcome: 'later', reason: 'it was closed' }),
    )
  }

  async verify(): Promise<void> {
    await this.#connection.request()
  }

  async close(): Promise<void> {
    this.#connection.close()
  }
}

/** The connection of a program to a server; each request takes some time. */
class ServerConnection {
  readonly #clock: Clock
  readonly #rejectAll = new Set<() => void>()
  #isClosed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Rejects when the connection is closed meanwhile; never ends when the program is killed. */
  request(): Promise<void> {
    if (this.#isClosed) return Promise.reject(new Error('it was closed'))
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(serverMs, () => {
        this.#rejectAll.delete(rejectPending)
        resolve()
      })
      const rejectPending = () => {
        cancel()
        reject(new Error('it was closed'))
      }
      this.#rejectAll.add(rejectPending)
    })
  }

  close(): void {
    this.#isClosed = true
    for (const rejectPending of this.#rejectAll) rejectPending()
    this.#rejectAll.clear()
  }
}
