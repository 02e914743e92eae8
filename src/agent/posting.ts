// Letters on their way out: each is sent again and again until the mail server has it or refuses it for good.

import { equalBytes } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import { messageOf } from '../base/problem.ts'
import type { InviteHost } from '../letter/invite.ts'
import type { Letter, LetterKind } from '../letter/kinds.ts'
import { writeLetter } from '../letter/mail-text.ts'
import { composeMail, newMessageId } from '../mail/compose.ts'
import type { MailSender, OutgoingMail } from '../mail/sender.ts'

/** A host as the invite names it. */
export type KnownHost = InviteHost

export type PostingOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly identity: KeyPair
  readonly address: string
  readonly subject: string
  readonly sender: MailSender
  /** Told after every attempt that failed. */
  readonly onUnsent: (letter: LetterKind, reason: string) => void
}

const firstResendMs = 2_000
const lastResendMs = 60_000
/** Letters not yet taken by the mail server; beyond it the oldest is given up. */
const mostUnsent = 64

type Unsent = { readonly kind: LetterKind; readonly host: KnownHost; givenUp: boolean; wake: () => void }

export class Posting {
  readonly #options: PostingOptions
  /** Oldest first; at most `mostUnsent`. */
  readonly #unsent = new Set<Unsent>()
  #closed = false

  constructor(options: PostingOptions) {
    this.#options = options
  }

  /** Resolves true when the mail server has the letter, false when it never will. Never rejects. */
  async send(letter: Letter, host: KnownHost): Promise<boolean> {
    if (this.#closed) return false
    const unsent = this.#enter(letter.kind, host)
    try {
      return await this.#sendUntilTaken(unsent, await this.#compose(letter, host))
    } catch (thrown) {
      if (!unsent.givenUp) this.#options.onUnsent(letter.kind, messageOf(thrown))
      return false
    } finally {
      this.#unsent.delete(unsent)
    }
  }

  /** Gives up whatever is not sent yet. */
  close(): void {
    this.#closed = true
    for (const unsent of this.#unsent) giveUp(unsent)
  }

  /** A newer request makes an older one to the same host pointless, and a goodbye everything. */
  #enter(kind: LetterKind, host: KnownHost): Unsent {
    for (const other of this.#unsent) {
      const isSame = equalBytes(other.host.identity, host.identity)
      if (isSame && (kind === 'leave' || (kind === 'request' && other.kind === 'request'))) giveUp(other)
    }
    const [oldest] = this.#unsent
    if (oldest && this.#unsent.size >= mostUnsent) {
      giveUp(oldest)
      this.#unsent.delete(oldest)
    }
    const unsent = { kind, host, givenUp: false, wake: () => {} }
    this.#unsent.add(unsent)
    return unsent
  }

  async #compose(letter: Letter, host: KnownHost): Promise<OutgoingMail> {
    const { crypto, clock, address, subject, identity } = this.#options
    const raw = composeMail({
      from: address,
      to: [host.address],
      subject,
      text: writeLetter(crypto, letter, { identity, recipientKey: host.sealingKey }),
      messageId: newMessageId(crypto.randomBytes(16), address.slice(address.lastIndexOf('@') + 1)),
      date: clock.wallNow(),
      auto: 'generated',
    })
    return { from: address, to: [host.address], raw }
  }

  async #sendUntilTaken(unsent: Unsent, mail: OutgoingMail): Promise<boolean> {
    const { sender, onUnsent } = this.#options
    for (let waitMs = firstResendMs; !unsent.givenUp; waitMs = Math.min(2 * waitMs, lastResendMs)) {
      const result = await sender.send(mail)
      if (result.outcome === 'sent') return true
      if (unsent.givenUp) break
      onUnsent(unsent.kind, result.reason)
      if (result.outcome === 'refused') break
      await this.#pause(unsent, waitMs)
    }
    return false
  }

  #pause(unsent: Unsent, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, resolve)
      unsent.wake = () => {
        cancel()
        resolve()
      }
    })
  }
}

function giveUp(unsent: Unsent): void {
  unsent.givenUp = true
  unsent.wake()
}
