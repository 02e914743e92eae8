// Composes the mail of a letter. Its bytes stay the same until it is sent.

import type { IntroductionLetter, ReplyLetter, SignalLetter, UserId } from '../../letter/letter-types.ts'
import { writeLetter } from '../../letter/mail-text.ts'
import { isMessageId } from '../../letter/text-validation.ts'
import { newMessageId, serializeMail } from '../../mail/mime/compose-mail.ts'
import type { OutboxMail } from '../../store/outbox.ts'
import type { HostContext } from '../context.ts'
import { isPeerHostLetter, type PeerHostLetter } from '../peer-hosts/peer-host-letter.ts'
import { bounceToken } from './bounce-token.ts'

export type HostLetter = ReplyLetter | IntroductionLetter | SignalLetter | PeerHostLetter

type Recipient = {
  readonly returnAddress: string
  /** X25519. For an agent the key of its latest session, or of the request that is answered; for a host its sealing key. */
  readonly sessionKey: Uint8Array
}

type Signer = Pick<HostContext, 'self' | 'crypto' | 'clock'>

/** The head of a letter to an agent: a new letter ID, and now as signing time. */
export function letterHead({ self, crypto, clock }: Signer, to: UserId) {
  return {
    from: self.agentFacingKeys.identity.publicKey,
    to,
    id: crypto.randomBytes(16),
    sentAt: clock.wallNow(),
  }
}

/** The head of a letter to another host. */
export function peerHostLetterHead({ self, crypto, clock }: Signer, to: UserId) {
  return { from: self.identity.publicKey, to, id: crypto.randomBytes(16), sentAt: clock.wallNow() }
}

/** `answers`: the Message-ID of the mail that is answered; an invalid one is left out. */
export function composeLetter(
  context: Pick<HostContext, 'self' | 'crypto'>,
  letter: HostLetter,
  recipient: Recipient,
  answers: string | null = null,
): OutboxMail {
  const { identity } = isPeerHostLetter(letter) ? context.self : context.self.agentFacingKeys
  const text = writeLetter(context.crypto, letter, { identity, recipientKey: recipient.sessionKey })
  return composeWithText(context, letter, text, recipient.returnAddress, answers)
}

/** Like `composeLetter`, for a letter that is already written. `text`: the text of the mail, with the letter in it. */
export function composeWithText(
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
  const raw = serializeMail({
    from: self.address,
    to: [returnAddress],
    subject: self.subject,
    text,
    messageId,
    date: letter.sentAt,
    // Hosts drop automatic answers (RFC 3834), so a letter between hosts must not look like one.
    auto: isPeerHostLetter(letter) ? 'generated' : 'replied',
    ...(answers !== null && isMessageId(answers) && { inReplyTo: answers, references: [answers] }),
  })
  return { messageId, kind: letter.kind, recipient: returnAddress, raw }
}
