// The letters of an agent: out to the hosts, in from its own mailbox. Every incoming mail is opened and checked
// against the hosts of the invite and our own sessions. It is then emitted as a typed letter or counted as dropped.

import { equalBytes, toHex } from '../../base/bytes.ts'
import type { KeyPair } from '../../base/crypto.ts'
import { waitAtMost } from '../../base/grace-time.ts'
import type { IntroductionLetter, Letter, ReplyLetter, SignalLetter } from '../../letter/letter-types.ts'
import { limits } from '../../letter/limits.ts'
import { isSealedTo, readLetter } from '../../letter/mail-text.ts'
import type { FetchedMail, Mailbox, MailboxHandlers, MailboxState } from '../../mail/mailbox.ts'
import { MailboxLoop } from '../../mail/mailbox-loop.ts'
import { parseMail } from '../../mail/mime/parse-mail.ts'
import { type KnownHost, OutgoingLetters, type OutgoingLettersOptions } from './outgoing-letters.ts'
import type { OwnSession, SessionKeys } from './session-keys.ts'
import { UnopenedMails } from './unopened-mails.ts'

export type { KnownHost } from './outgoing-letters.ts'

type InboxOptions = OutgoingLettersOptions & {
  readonly hosts: readonly KnownHost[]
  readonly mailbox: Mailbox
  readonly sessions: SessionKeys
  /** The tag of our room. */
  readonly room: Uint8Array
  readonly sweepMs: number
  readonly onReply: (letter: ReplyLetter, session: OwnSession, host: KnownHost) => void
  readonly onIntroduction: (letter: IntroductionLetter, session: OwnSession) => void
  /** Relayed by a host. The box is not opened yet, so its sender is not verified. */
  readonly onSignal: (letter: SignalLetter) => void
  readonly onDropped: (reason: string) => void
  readonly onState: (state: MailboxState) => void
}

const batchMails = 64
/** The rest waits for the next sweep. */
const maxMailsPerSweep = 2_048
/** Letter IDs remembered, so that a second copy has no effect. When full, the oldest is forgotten. */
const maxRememberedLetters = 1024
/** Delay after a failed fetch, unless the mailbox wakes us earlier. */
const retryFetchMs = 5_000
/** `close` waits this long for a mailbox that does not answer. */
const closeGraceMs = 1_000

export class Inbox {
  readonly #options: InboxOptions
  readonly #outgoingLetters: OutgoingLetters
  readonly #seenLetters = new Set<string>()
  readonly #unopenedMails = new UnopenedMails()
  /** Monotonic and wall time at the start. */
  readonly #startedAt: number
  readonly #startedAtWall: number
  readonly #loop: MailboxLoop
  #closed = false

  constructor(options: InboxOptions) {
    this.#options = options
    this.#startedAt = options.clock.now()
    this.#startedAtWall = options.clock.wallNow()
    this.#outgoingLetters = new OutgoingLetters(options)
    const { clock, sweepMs } = options
    this.#loop = new MailboxLoop({
      clock,
      sweepMs,
      // The mailbox emits its own state, so an error needs only a new try.
      restAfter: () => ({ forMs: Math.min(retryFetchMs, sweepMs), canBeWoken: true }),
    })
  }

  /** Rejects with a Problem when the mailbox or the sender cannot be used. */
  async open(): Promise<void> {
    const { mailbox, sender, onState, crypto, sessions } = this.#options
    const handlers: MailboxHandlers = {
      onState,
      opens: (text) => isSealedTo(crypto, text, sessions.keyPairs),
      onWake: () => this.#wakeLoop(),
    }
    await Promise.all([mailbox.open(handlers), sender.verify()])
    this.#wakeLoop()
  }

  /** Sends to every host, with retries. Resolves true when the mail server has accepted the letters, false when it
   *  never will. */
  send(letterTo: (host: KnownHost) => Letter): Promise<boolean> {
    return this.#outgoingLetters.send(this.#options.hosts.map((host) => ({ letter: letterTo(host), host })))
  }

  /** Call it after a change of network or a sleep of the computer: dead connections are then replaced soon. */
  checkConnections(): void {
    this.#options.mailbox.check?.()
    this.#options.sender.check?.()
  }

  /** Gives up letters that are not sent yet. May be called more than once. */
  async close(): Promise<void> {
    this.#closed = true
    this.#outgoingLetters.close()
    const { mailbox, sender, clock } = this.#options
    // Wait until handled letters are also removed, but not for a mailbox that never answers.
    await waitAtMost(clock, closeGraceMs, this.#loop.stop())
    await Promise.allSettled([mailbox.close(), sender.close()])
  }

  /** The mailbox may have new mail. The loop starts here, since the mailbox is open only when it first wakes us. */
  #wakeLoop(): void {
    if (this.#closed) return
    this.#loop.wake()
    this.#loop.start(() => this.#handleMails())
  }

  async #handleMails(): Promise<null> {
    const { mailbox, clock } = this.#options
    for (let fetched = 0; fetched < maxMailsPerSweep && !this.#closed; ) {
      const mails = await mailbox.fetch(batchMails, this.#unopenedMails.refsToSkip(clock.now()))
      if (mails.length === 0) return null
      fetched += mails.length
      const done: string[] = []
      for (const mail of mails) {
        if (this.#closed) break
        if (await this.#handleMail(mail)) done.push(mail.ref)
      }
      await mailbox.remove(done)
    }
    return null
  }

  /** True when the mail is handled and may be removed. */
  async #handleMail(mail: FetchedMail): Promise<boolean> {
    let reason: string | null
    try {
      reason = await this.#readMail(mail)
    } catch {
      // A letter that breaks our own code must not block all others for ever.
      reason = 'malformed'
    }
    if (reason === 'not-ours') return false
    if (reason !== null) this.#options.onDropped(reason)
    return true
  }

  /** Null when the letter had its effect, otherwise the reason why not. */
  async #readMail({ ref, raw, parsed }: FetchedMail): Promise<string | null> {
    const { crypto, clock, identity, sessions } = this.#options
    if (!raw) return 'too-big'
    const { content } = parsed ?? (await parseMail(raw, limits.mailBytes))
    if (!content.ok) return content.refusal
    const opened = readLetter(crypto, content.mail.text, {
      identity: identity.publicKey,
      keyPairs: sessions.keyPairs,
    })
    if (opened.ok) return this.#handle(opened.letter, opened.keyPair)
    if (opened.refusal !== 'wrong-key') return opened.refusal
    const ageMs = content.mail.date === null ? 0 : this.#earliestNow() - content.mail.date
    return this.#unopenedMails.shouldKeep(ref, clock.now(), ageMs) ? 'not-ours' : opened.refusal
  }

  /** A wall clock that was set forward must not make the letters of other agents look stale. */
  #earliestNow(): number {
    const { clock } = this.#options
    return Math.min(clock.wallNow(), this.#startedAtWall + clock.now() - this.#startedAt)
  }

  #handle(letter: Letter, openedWith: KeyPair): string | null {
    const { hosts } = this.#options
    // `close` was called while the mail was being parsed.
    if (this.#closed) return 'not-ours'
    const host = hosts.find(({ identity }) => equalBytes(identity, letter.from))
    if (!host) return 'unknown-sender'
    const emit = this.#prepareEmit(letter, openedWith, host)
    if (typeof emit === 'string') return emit
    const id = toHex(letter.id)
    if (this.#seenLetters.has(id)) return 'copy'
    this.#seenLetters.add(id)
    if (this.#seenLetters.size > maxRememberedLetters)
      this.#seenLetters.delete(this.#seenLetters.values().next().value ?? id)
    emit()
    return null
  }

  /** What to do with the letter if it is no copy, or the reason why it has no effect. */
  #prepareEmit(letter: Letter, openedWith: KeyPair, host: KnownHost): (() => void) | string {
    const { sessions, room, onReply, onIntroduction, onSignal } = this.#options
    if (letter.kind === 'signal') {
      return equalBytes(letter.room, room) ? () => onSignal(letter) : 'other-room'
    }
    if (letter.kind !== 'reply' && letter.kind !== 'introduction') return 'unexpected-kind'
    const session = sessions.find(letter.sessionId)
    if (!session || !equalBytes(session.publicKey, openedWith.publicKey)) return 'wrong-session'
    return letter.kind === 'reply'
      ? () => onReply(letter, session, host)
      : () => onIntroduction(letter, session)
  }
}
