// Letters on their way out: each is sent again and again until the mail server has it or refuses it for good.

import type { Clock } from '../../base/clock.ts'
import type { Crypto, KeyPair } from '../../base/crypto.ts'
import { domainOf } from '../../base/mail-address.ts'
import { messageOf } from '../../base/problem.ts'
import { armorLetter, fitOneMail } from '../../letter/armor.ts'
import type { InviteHost } from '../../letter/invite.ts'
import type { Letter, LetterKind } from '../../letter/letter-types.ts'
import { sealLetter } from '../../letter/seal-letter.ts'
import { type MailToCompose, mailToCompose, newMessageId } from '../../mail/mime/compose-mail.ts'
import type { MailSender } from '../../mail/sender.ts'

/** A host as the invite names it. */
export type KnownHost = InviteHost

type Addressed = { readonly letter: Letter; readonly host: KnownHost }

export type OutgoingLettersOptions = {
  readonly clock: Clock
  /** What mails bear as their Date. */
  readonly correctedClock: Pick<Clock, 'wallNow'>
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

type Unsent = { readonly kind: LetterKind; givenUp: boolean; wake: () => void }
type Sealed = { readonly box: Uint8Array; readonly address: string }

export class OutgoingLetters {
  readonly #options: OutgoingLettersOptions
  /** Oldest first; at most `mostUnsent`. */
  readonly #unsent = new Set<Unsent>()
  #closed = false

  constructor(options: OutgoingLettersOptions) {
    this.#options = options
  }

  /**
   * The same to each of these hosts: one kind, each letter sealed for its host, all in one mail where they fit (A12).
   * Resolves true when the mail server has them, but for hosts it never takes mail for; false when it never will.
   * Never rejects.
   */
  async send(letters: readonly Addressed[]): Promise<boolean> {
    const kind = letters[0]?.letter.kind
    if (this.#closed || kind === undefined) return false
    this.#supersede(kind)
    try {
      const mails = this.#compose(letters)
      const taken = await Promise.all(mails.map((mail) => this.#sendUntilTaken(kind, mail)))
      return taken.every((isTaken) => isTaken)
    } catch (thrown) {
      this.#options.onUnsent(kind, messageOf(thrown))
      return false
    }
  }

  /** Gives up whatever is not sent yet. */
  close(): void {
    this.#closed = true
    for (const unsent of this.#unsent) giveUp(unsent)
  }

  /** A newer request makes an older one pointless, and a goodbye everything. */
  #supersede(kind: LetterKind): void {
    for (const other of this.#unsent) {
      if (kind === 'leave' || (kind === 'request' && other.kind === 'request')) giveUp(other)
    }
  }

  #enter(kind: LetterKind): Unsent {
    const [oldest] = this.#unsent
    if (oldest && this.#unsent.size >= mostUnsent) {
      giveUp(oldest)
      this.#unsent.delete(oldest)
    }
    const unsent = { kind, givenUp: false, wake: () => {} }
    this.#unsent.add(unsent)
    return unsent
  }

  #compose(letters: readonly Addressed[]): readonly MailToCompose[] {
    const { crypto, correctedClock, address, subject, identity } = this.#options
    const sealed = letters.map(({ letter, host }) => ({
      box: sealLetter(crypto, letter, { identity, recipientKey: host.sealingKey }),
      address: host.address,
    }))
    return together(sealed).map((group) =>
      mailToCompose({
        from: address,
        to: group.map((one) => one.address),
        subject,
        text: armorLetter(crypto, ...group.map(({ box }) => box)),
        messageId: newMessageId(crypto.randomBytes(16), domainOf(address)),
        date: correctedClock.wallNow(),
        auto: 'generated',
      }),
    )
  }

  async #sendUntilTaken(kind: LetterKind, mail: MailToCompose): Promise<boolean> {
    const { sender, onUnsent } = this.#options
    const unsent = this.#enter(kind)
    let { to } = mail
    try {
      for (let waitMs = firstResendMs; !unsent.givenUp; waitMs = Math.min(2 * waitMs, lastResendMs)) {
        const result = await sender.send({ ...mail, to })
        if (result.outcome === 'sent') return true
        if (unsent.givenUp) return false
        onUnsent(kind, (result.outcome === 'later' && result.problem?.line) || result.reason)
        if (result.outcome === 'refused') return false
        if (result.outcome === 'partly') {
          // The other hosts have it; theirs must not get it twice.
          to = result.again
          if (to.length === 0) return true
        }
        await this.#pause(unsent, waitMs)
      }
      return false
    } finally {
      this.#unsent.delete(unsent)
    }
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

/** As few mails as the letters fit into, in their order. */
function together(letters: readonly Sealed[]): readonly (readonly Sealed[])[] {
  const groups: Sealed[][] = []
  for (const letter of letters) {
    const last = groups.at(-1)
    const sizes = [...(last ?? []), letter].map(({ box }) => box.length)
    if (last && fitOneMail(sizes)) last.push(letter)
    else groups.push([letter])
  }
  return groups
}
