// A letter of the host as the mail it will stay, byte for byte, until it is sent.

import type {
  IntroductionLetter,
  ReplyLetter,
  SignalLetter,
  TableLetter,
  TableRequestLetter,
  UserId,
} from '../letter/kinds.ts'
import { writeLetter } from '../letter/mail-text.ts'
import { composeMail, newMessageId } from '../mail/compose.ts'
import type { FrozenMail } from '../table/outbox.ts'
import { isBetweenHosts } from './between-hosts.ts'
import type { HostParts } from './parts.ts'
import { postmark } from './postmark.ts'

export type HostLetter = ReplyLetter | IntroductionLetter | SignalLetter | TableLetter | TableRequestLetter

export type Recipient = {
  readonly returnAddress: string
  /** X25519 key of its latest session, or of the request that is answered; of a host, its sealing key. */
  readonly sessionKey: Uint8Array
}

/** The fields all letters of a host begin with: a new letter ID, signed now. */
export function letterHead(parts: Pick<HostParts, 'self' | 'crypto' | 'clock'>, to: UserId) {
  return {
    from: parts.self.identity.publicKey,
    to,
    id: parts.crypto.randomBytes(16),
    sentAt: parts.clock.wallNow(),
  }
}

/** `answers` is the Message-ID of the mail that is answered, if there is one; an odd one is left out. */
export function freezeLetter(
  { self, crypto }: Pick<HostParts, 'self' | 'crypto'>,
  letter: HostLetter,
  recipient: Recipient,
  answers: string | null = null,
): FrozenMail {
  const messageId = newMessageId(
    postmark(crypto, self.postmarkKey, recipient.returnAddress, letter.sentAt),
    self.domain,
  )
  const raw = composeMail({
    from: self.address,
    to: [recipient.returnAddress],
    subject: self.subject,
    text: writeLetter(crypto, letter, { identity: self.identity, recipientKey: recipient.sessionKey }),
    messageId,
    date: letter.sentAt,
    // Hosts take no answers of programs, so what they tell each other is none.
    auto: isBetweenHosts(letter) ? 'generated' : 'replied',
    ...(isMessageId(answers) ? { inReplyTo: answers, references: [answers] } : {}),
  })
  return { messageId, kind: letter.kind, recipient: recipient.returnAddress, raw }
}

function isMessageId(text: string | null): text is string {
  return text !== null && text.length <= 250 && /^<[!-;=?A-~]+@[!-;=?A-~]+>$/.test(text)
}
