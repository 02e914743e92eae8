// The agent's letters: out to the host, in from its own mailbox. Everything that comes in is opened, checked
// against the invite's host and our own sessions, and handed on as a typed letter or counted as dropped.

import { equalBytes, toHex } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import type { IntroductionLetter, Letter, ReplyLetter } from '../letter/kinds.ts'
import { limits } from '../letter/limits.ts'
import { readLetter, writeLetter } from '../letter/mail-text.ts'
import { composeMail, newMessageId } from '../mail/compose.ts'
import type { FetchedMail, Mailbox, MailboxState } from '../mail/mailbox.ts'
import { readMail } from '../mail/mime-reader.ts'
import type { MailSender } from '../mail/sender.ts'
import type { OwnSession, Sessions } from './sessions.ts'

/** What the invite says of a host. */
export type KnownHost = {
  readonly address: string
  /** Ed25519. */
  readonly identity: Uint8Array
  /** X25519. */
  readonly sealingKey: Uint8Array
}

export type CorrespondenceOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly identity: KeyPair
  readonly address: string
  readonly subject: string
  readonly hosts: readonly KnownHost[]
  readonly mailbox: Mailbox
  readonly sender: MailSender
  readonly sessions: Sessions
  readonly sweepMs: number
  readonly onReply: (letter: ReplyLetter, session: OwnSession) => void
  readonly onIntroduction: (letter: IntroductionLetter, session: OwnSession) => void
  readonly onDropped: (reason: string) => void
  readonly onState: (state: MailboxState) => void
  readonly onUnsent: (letter: Letter['kind'], reason: string) => void
}

const batchMails = 64
/** Letter IDs remembered, so that a second copy has no effect; beyond it the oldest are forgotten. */
const rememberedLetters = 1024
/** Mails we cannot open may be for another agent on the same mailbox: they are left alone so long. */
const foreignLettersMs = 3_600_000
/** Such mails remembered, so that they are looked at once; beyond it they are looked at again. */
const rememberedForeign = 1024
/** After a failed look into the mailbox, unless it wakes us before. */
const retryLookMs = 5_000
const firstResendMs = 2_000
const lastResendMs = 60_000

export class Correspondence {
  readonly #options: CorrespondenceOptions
  readonly #seen = new Set<string>()
  readonly #foreign = new Set<string>()
  #dirty = false
  #looking: Promise<void> | null = null
  #cancelSweep: () => void = () => {}
  readonly #cancelResends = new Set<() => void>()
  #closed = false

  constructor(options: CorrespondenceOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    const { mailbox, sender, onState } = this.#options
    mailbox.onState = onState
    mailbox.onWake = () => this.#look()
    await Promise.all([mailbox.open(), sender.verify()])
    this.#look()
  }

  /** Ends when the mail server has the letter, or resolves false when it never will; trying again in between. */
  async send(letter: Letter, host: KnownHost, onSent: () => void = () => {}): Promise<boolean> {
    const { crypto, clock, address, subject, identity, sender, onUnsent } = this.#options
    const raw = await composeMail({
      from: address,
      to: [host.address],
      subject,
      text: writeLetter(crypto, letter, { identity, recipientKey: host.sealingKey }),
      messageId: newMessageId(crypto.randomBytes(16), address.slice(address.lastIndexOf('@') + 1)),
      date: clock.wallNow(),
      auto: 'generated',
    })
    for (let waitMs = firstResendMs; !this.#closed; waitMs = Math.min(2 * waitMs, lastResendMs)) {
      const result = await sender.send({ from: address, to: [host.address], raw })
      if (result.outcome === 'sent') {
        onSent()
        return true
      }
      onUnsent(letter.kind, result.reason)
      if (result.outcome === 'refused') return false
      await this.#pause(waitMs)
    }
    return false
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelSweep()
    for (const cancel of this.#cancelResends) cancel()
    await this.#looking
    await Promise.all([this.#options.mailbox.close(), this.#options.sender.close()])
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, () => done())
      const done = () => {
        cancel()
        this.#cancelResends.delete(done)
        resolve()
      }
      this.#cancelResends.add(done)
    })
  }

  /** Marks the mailbox as worth a look; at most one look is under way at a time. */
  #look(): void {
    if (this.#closed) return
    this.#dirty = true
    this.#looking ??= this.#lookWhileDirty().finally(() => {
      this.#looking = null
      if (this.#dirty) this.#look()
    })
  }

  async #lookWhileDirty(): Promise<void> {
    const { clock, sweepMs } = this.#options
    this.#cancelSweep()
    let againMs = sweepMs
    try {
      while (this.#dirty && !this.#closed) {
        this.#dirty = false
        await this.#takeLetters()
      }
    } catch {
      // The mailbox tells its state itself; we only come back.
      this.#dirty = false
      againMs = Math.min(retryLookMs, sweepMs)
    }
    if (!this.#closed) this.#cancelSweep = clock.after(againMs, () => this.#look())
  }

  async #takeLetters(): Promise<void> {
    const { mailbox } = this.#options
    for (;;) {
      const mails = await mailbox.fetch(batchMails, this.#foreign)
      const done: string[] = []
      for (const mail of mails) if (await this.#take(mail)) done.push(mail.ref)
      await mailbox.remove(done)
      if (done.length === 0) return
    }
  }

  /** Whether the mail is dealt with and may be removed. */
  async #take({ ref, raw }: FetchedMail): Promise<boolean> {
    const { crypto, clock, identity, sessions, onDropped } = this.#options
    const read = raw ? await readMail(raw, limits.mailBytes) : ({ ok: false, refusal: 'too-big' } as const)
    if (!read.ok) {
      onDropped(read.refusal)
      return true
    }
    const opened = readLetter(crypto, read.mail.text, {
      identity: identity.publicKey,
      keyPairs: sessions.keyPairs,
    })
    if (opened.ok) {
      const fault = this.#handle(opened.letter, opened.keyPair)
      if (fault) onDropped(fault)
      return true
    }
    const age = clock.wallNow() - (read.mail.date ?? 0)
    if (opened.refusal === 'wrong-key' && age < foreignLettersMs) {
      if (this.#foreign.size >= rememberedForeign) this.#foreign.clear()
      this.#foreign.add(ref)
      return false
    }
    onDropped(opened.refusal)
    return true
  }

  /** Null, or why the letter has no effect. */
  #handle(letter: Letter, openedWith: KeyPair): string | null {
    const { hosts, sessions, onReply, onIntroduction } = this.#options
    if (!hosts.some((host) => equalBytes(host.identity, letter.from))) return 'unknown-sender'
    if (letter.kind !== 'reply' && letter.kind !== 'introduction') return 'unexpected-kind'
    const session = sessions.find(letter.sessionId)
    if (!session || !equalBytes(session.publicKey, openedWith.publicKey)) return 'wrong-session'
    const id = toHex(letter.id)
    if (this.#seen.has(id)) return 'copy'
    this.#seen.add(id)
    if (this.#seen.size > rememberedLetters) this.#seen.delete(this.#seen.values().next().value ?? id)
    if (letter.kind === 'reply') onReply(letter, session)
    else onIntroduction(letter, session)
    return null
  }
}
