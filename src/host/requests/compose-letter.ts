// A letter of the host as the mail it will stay, byte for byte, until it is sent.

import type { IntroductionLetter, ReplyLetter, SignalLetter, UserId } from '../../letter/letter-types.ts'
import { writeLetter } from '../../letter/mail-text.ts'
import { isMessageId } from '../../letter/text-validation.ts'
import { freezeMail, newMessageId } from '../../mail/mime/compose-mail.ts'
import type { OutboxMail } from '../../store/outbox.ts'
import type { HostContext } from '../context.ts'
import { type BetweenHosts, isBetweenHosts } from '../peer-hosts/host-letters.ts'
import { bounceToken } from './bounce-token.ts'

export type HostLetter = ReplyLetter | IntroductionLetter | SignalLetter | BetweenHosts

type Recipient = {
  readonly returnAddress: string
  /** X25519 key of its latest session, or of the request that is answered; of a host, its sealing key. */
  readonly sessionKey: Uint8Array
}

type Signer = Pick<HostContext, 'self' | 'crypto' | 'clock'>

/** The fields all letters of a host to agents begin with: a new letter ID, signed now. */
export function letterHead({ self, crypto, clock }: Signer, to: UserId) {
  return { from: self.front.identity.publicKey, to, id: crypto.randomBytes(16), sentAt: clock.wallNow() }
}

export function letterHeadBetweenHosts({ self, crypto, clock }: Signer, to: UserId) {
  return { from: self.identity.publicKey, to, id: crypto.randomBytes(16), sentAt: clock.wallNow() }
}

/** `answers` is the Message-ID of the mail that is answered, if there is one; an odd one is left out. */
export function freezeLetter(
  context: Pick<HostContext, 'self' | 'crypto'>,
  letter: HostLetter,
  recipient: Recipient,
  answers: string | null = null,
): OutboxMail {
  const { identity } = isBetweenHosts(letter) ? context.self : context.self.front
  const text = writeLetter(context.crypto, letter, { identity, recipientKey: recipient.sessionKey })
  return freezeText(context, letter, text, recipient.returnAddress, answers)
}

/** `text`: of the mail, with the letter in it. */
export function freezeText(
  { self, crypto }: Pick<HostContext, 'self' | 'crypto'>,
  letter: HostLetter,
  text: string,
  returnAddress: string,
  answers: string | null = null,
): OutboxMail {
  const messageId = newMessageId(
    bounceToken(crypto, self.bounceTokenKey, returnAddress, letter.sentAt),
    self.domain,
  )
  const raw = freezeMail({
    from: self.address,
    to: [returnAddress],
    subject: self.subject,
    text,
    messageId,
    date: letter.sentAt,
    // Hosts take no answers of programs, so what they tell each other is none.
    auto: isBetweenHosts(letter) ? 'generated' : 'replied',
    ...(answers !== null && isMessageId(answers) && { inReplyTo: answers, references: [answers] }),
  })
  return { messageId, kind: letter.kind, recipient: returnAddress, raw }
}
