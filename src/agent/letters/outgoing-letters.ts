// Sends letters by mail. Each is retried until the mail server accepts it or refuses it for good.

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

/** A host from the invite. */
export type KnownHost = InviteHost

type AddressedLetter = { readonly letter: Letter; readonly host: KnownHost }

export type OutgoingLettersOptions = {
  readonly clock: Clock
  /** Gives the Date header of the mails. */
  readonly correctedClock: Pick<Clock, 'wallNow'>
  readonly crypto: Crypto
  readonly identity: KeyPair
  readonly address: string
  readonly subject: string
  readonly sender: MailSender
  /** Called after every failed attempt. */
  readonly onUnsent: (letter: LetterKind, reason: string) => void
}

const firstResendMs = 2_000
const lastResendMs = 60_000
/** Mails not accepted yet. When full, the oldest is given up. */
const maxUnsent = 64

type UnsentMail = { readonly kind: LetterKind; givenUp: boolean; wake: () => void }
type SealedLetter = { readonly box: Uint8Array; readonly address: string }

export class OutgoingLetters {
  readonly #options: OutgoingLettersOptions
  /** Oldest first; at most `maxUnsent`. */
  readonly #unsent = new Set<UnsentMail>()
  #closed = false

  constructor(options: OutgoingLettersOptions) {
    this.#options = options
  }

  /**
   * Sends one letter of the same kind to each of these hosts. Each letter is sealed for its host. All go in one mail if
   * they fit (A12). Resolves true when the mail server has accepted them, not counting hosts whose address it refuses
   * for good. Resolves false when it never will. Never rejects.
   */
  async send(letters: readonly AddressedLetter[]): Promise<boolean> {
    const kind = letters[0]?.letter.kind
    if (this.#closed || kind === undefined) return false
    this.#supersede(kind)
    try {
      const mails = this.#compose(letters)
      const accepted = await Promise.all(mails.map((mail) => this.#sendUntilAccepted(kind, mail)))
      return accepted.every((isAccepted) => isAccepted)
    } catch (thrown) {
      this.#options.onUnsent(kind, messageOf(thrown))
      return false
    }
  }

  /** Gives up all mails that are not accepted yet. */
  close(): void {
    this.#closed = true
    for (const unsent of this.#unsent) giveUp(unsent)
  }

  /** A newer request replaces an older one. A leave letter replaces every other letter. */
  #supersede(kind: LetterKind): void {
    for (const other of this.#unsent) {
      if (kind === 'leave' || (kind === 'request' && other.kind === 'request')) giveUp(other)
    }
  }

  #addUnsent(kind: LetterKind): UnsentMail {
    const [oldest] = this.#unsent
    if (oldest && this.#unsent.size >= maxUnsent) {
      giveUp(oldest)
      this.#unsent.delete(oldest)
    }
    const unsent = { kind, givenUp: false, wake: () => {} }
    this.#unsent.add(unsent)
    return unsent
  }

  #compose(letters: readonly AddressedLetter[]): readonly MailToCompose[] {
    const { crypto, correctedClock, address, subject, identity } = this.#options
    const sealed = letters.map(({ letter, host }) => ({
      box: sealLetter(crypto, letter, { identity, recipientKey: host.sealingKey }),
      address: host.address,
    }))
    return groupIntoMails(sealed).map((group) =>
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

  async #sendUntilAccepted(kind: LetterKind, mail: MailToCompose): Promise<boolean> {
    const { sender, onUnsent } = this.#options
    const unsent = this.#addUnsent(kind)
    let { to } = mail
    try {
      for (let waitMs = firstResendMs; !unsent.givenUp; waitMs = Math.min(2 * waitMs, lastResendMs)) {
        const result = await sender.send({ ...mail, to })
        if (result.outcome === 'sent') return true
        if (unsent.givenUp) return false
        onUnsent(kind, (result.outcome === 'later' && result.problem?.line) || result.reason)
        if (result.outcome === 'refused') return false
        if (result.outcome === 'partly') {
          // The other hosts have it and must not get it twice.
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

  #pause(unsent: UnsentMail, ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, resolve)
      unsent.wake = () => {
        cancel()
        resolve()
      }
    })
  }
}

function giveUp(unsent: UnsentMail): void {
  unsent.givenUp = true
  unsent.wake()
}

/** Puts the letters, in their order, into as few mails as possible. */
function groupIntoMails(letters: readonly SealedLetter[]): readonly (readonly SealedLetter[])[] {
  const groups: SealedLetter[][] = []
  for (const letter of letters) {
    const last = groups.at(-1)
    const sizes = [...(last ?? []), letter].map(({ box }) => box.length)
    if (last && fitOneMail(sizes)) last.push(letter)
    else groups.push([letter])
  }
  return groups
}
