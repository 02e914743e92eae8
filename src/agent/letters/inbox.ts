// The agent's letters: out to the host, in from its own mailbox. Everything that comes in is opened, checked
// against the invite's host and our own sessions, and handed on as a typed letter or counted as dropped.

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
  /** Relayed by a host; who really sealed the box is still to be seen. */
  readonly onSignal: (letter: SignalLetter) => void
  readonly onDropped: (reason: string) => void
  readonly onState: (state: MailboxState) => void
}

const batchMails = 64
/** Looked at in one go; what is beyond waits for the next sweep. */
const mostInOneLook = 2_048
/** Letter IDs remembered, so that a second copy has no effect; beyond it the oldest are forgotten. */
const rememberedLetters = 1024
/** After a failed look into the mailbox, unless it wakes us before. */
const retryLookMs = 5_000
/** How long closing waits for a mailbox that does not answer. */
const closeGraceMs = 1_000

export class Inbox {
  readonly #options: InboxOptions
  readonly #outgoingLetters: OutgoingLetters
  readonly #seen = new Set<string>()
  readonly #unopenedMails = new UnopenedMails()
  /** Monotonic and on the wall, at the start. */
  readonly #madeAt: number
  readonly #madeAtWall: number
  readonly #loop: MailboxLoop
  #closed = false

  constructor(options: InboxOptions) {
    this.#options = options
    this.#madeAt = options.clock.now()
    this.#madeAtWall = options.clock.wallNow()
    this.#outgoingLetters = new OutgoingLetters(options)
    const { clock, sweepMs } = options
    this.#loop = new MailboxLoop({
      clock,
      sweepMs,
      // The mailbox tells its state itself; we only come back.
      restAfter: () => ({ forMs: Math.min(retryLookMs, sweepMs), canBeWoken: true }),
    })
  }

  /** Rejects with a Problem when the mailbox or the sender cannot be used. */
  async open(): Promise<void> {
    const { mailbox, sender, onState, crypto, sessions } = this.#options
    const handlers: MailboxHandlers = {
      onState,
      opens: (text) => isSealedTo(crypto, text, sessions.keyPairs),
      onWake: () => this.#look(),
    }
    await Promise.all([mailbox.open(handlers), sender.verify()])
    this.#look()
  }

  /** To every host. Resolves true when the mail server has the letters, false when it never will; tries again in
   *  between. */
  send(letterTo: (host: KnownHost) => Letter): Promise<boolean> {
    return this.#outgoingLetters.send(this.#options.hosts.map((host) => ({ letter: letterTo(host), host })))
  }

  /** We are in another network, or have slept: what is dead is replaced soon. */
  check(): void {
    this.#options.mailbox.check?.()
    this.#options.sender.check?.()
  }

  /** What is not sent yet is given up. May be called more than once. */
  async close(): Promise<void> {
    this.#closed = true
    this.#outgoingLetters.close()
    const { mailbox, sender, clock } = this.#options
    // So that letters taken are also removed; a mailbox that answers nobody must not keep us.
    await waitAtMost(clock, closeGraceMs, this.#loop.stop())
    await Promise.allSettled([mailbox.close(), sender.close()])
  }

  /** The mailbox may have something for us; not before it said so is it open. */
  #look(): void {
    if (this.#closed) return
    this.#loop.wake()
    this.#loop.start(() => this.#takeLetters())
  }

  async #takeLetters(): Promise<null> {
    const { mailbox, clock } = this.#options
    for (let looked = 0; looked < mostInOneLook && !this.#closed; ) {
      const mails = await mailbox.fetch(batchMails, this.#unopenedMails.leftAlone(clock.now()))
      if (mails.length === 0) return null
      looked += mails.length
      const done: string[] = []
      for (const mail of mails) {
        if (this.#closed) break
        if (await this.#take(mail)) done.push(mail.ref)
      }
      await mailbox.remove(done)
    }
    return null
  }

  /** Whether the mail is dealt with and may be removed. */
  async #take(mail: FetchedMail): Promise<boolean> {
    let fault: string | null
    try {
      fault = await this.#read(mail)
    } catch {
      // One letter that our own code cannot stand must not keep all others waiting for ever.
      fault = 'malformed'
    }
    if (fault === 'foreign') return false
    if (fault !== null) this.#options.onDropped(fault)
    return true
  }

  /** Null, or why the mail has no effect. */
  async #read({ ref, raw, parsed }: FetchedMail): Promise<string | null> {
    const { crypto, clock, identity, sessions } = this.#options
    if (!raw) return 'too-big'
    const { content: read } = parsed ?? (await parseMail(raw, limits.mailBytes))
    if (!read.ok) return read.refusal
    const opened = readLetter(crypto, read.mail.text, {
      identity: identity.publicKey,
      keyPairs: sessions.keyPairs,
    })
    if (opened.ok) return this.#handle(opened.letter, opened.keyPair)
    if (opened.refusal !== 'wrong-key') return opened.refusal
    const ageMs = read.mail.date === null ? 0 : this.#earliestNow() - read.mail.date
    return this.#unopenedMails.note(ref, clock.now(), ageMs) ? 'foreign' : opened.refusal
  }

  /** Somebody who sets the clock forward must not make others' letters too old to be left alone. */
  #earliestNow(): number {
    const { clock } = this.#options
    return Math.min(clock.wallNow(), this.#madeAtWall + clock.now() - this.#madeAt)
  }

  #handle(letter: Letter, openedWith: KeyPair): string | null {
    const { hosts } = this.#options
    // Closed while the mail was being read.
    if (this.#closed) return 'foreign'
    const host = hosts.find(({ identity }) => equalBytes(identity, letter.from))
    if (!host) return 'unknown-sender'
    const deliver = this.#delivery(letter, openedWith, host)
    if (typeof deliver === 'string') return deliver
    const id = toHex(letter.id)
    if (this.#seen.has(id)) return 'copy'
    this.#seen.add(id)
    if (this.#seen.size > rememberedLetters) this.#seen.delete(this.#seen.values().next().value ?? id)
    deliver()
    return null
  }

  /** What to do with the letter if it is no copy, or why it has no effect. */
  #delivery(letter: Letter, openedWith: KeyPair, host: KnownHost): (() => void) | string {
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
