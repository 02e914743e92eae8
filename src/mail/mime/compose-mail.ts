// Adds to nodemailer's composer: strict checks of all fields, and the same bytes for the same input.
// A mail has one 7bit text/plain part. A mail that is sent twice has the same bytes, so it is recognised as one mail.

import { createTransport } from 'nodemailer'
import { Problem } from '../../base/problem.ts'
import { isMailAddress, isMessageId } from '../../letter/text-validation.ts'

export type MailContent = {
  readonly from: string
  readonly to: readonly string[]
  readonly subject: string
  /** ASCII lines of at most 76 characters, which end in LF. */
  readonly text: string
  /** With angle brackets, from `newMessageId`. */
  readonly messageId: string
  /** Unix milliseconds. The mail has only whole seconds. */
  readonly date: number
  /** RFC 3834: `generated` by itself, or `replied` to another mail. */
  readonly auto: 'generated' | 'replied'
  readonly inReplyTo?: string
  readonly references?: readonly string[]
}

/** A mail that the sender composes when it sends it. */
export type MailToCompose = {
  /** Envelope sender. */
  readonly from: string
  /** Envelope recipients, addresses only. */
  readonly to: readonly string[]
  readonly content: MailContent
}

/** A mail must not make nodemailer read a file or a URL. */
const composer = createTransport({
  streamTransport: true,
  buffer: true,
  newline: 'windows',
  disableFileAccess: true,
  disableUrlAccess: true,
})

/** Makes a Message-ID from at least 16 unique bytes (RFC 5322 §3.6.4). */
export function newMessageId(unique: Uint8Array, domain: string): string {
  if (unique.length < 16) throw invalidMail('a Message-ID from too few bytes')
  const id = `<${Buffer.from(unique).toString('hex')}@${domain}>`
  if (!isMessageId(id)) throw invalidMail('a Message-ID that is not valid')
  return id
}

/** The RFC 5322 bytes, with CRLF line ends. Rejects with a Problem `internal` if a value could add another header
 *  field or another recipient. */
export async function composeMail(content: MailContent): Promise<Uint8Array> {
  check(content)
  const { message } = await composer.sendMail(composerFields(content))
  return message as Buffer
}

/** A mail with an envelope for the recipients in its content. Throws the same Problems as `composeMail`. */
export function mailToCompose(content: MailContent): MailToCompose {
  check(content)
  return { from: content.from, to: content.to, content }
}

/** The fields for nodemailer's `sendMail`. */
export function composerFields(content: MailContent) {
  const { from, to, subject, text, messageId, date, auto, inReplyTo, references } = content
  return {
    headers: {
      'Auto-Submitted': `auto-${auto}`,
      // Without this, Microsoft's servers answer automatic mail.
      ...(auto === 'replied' && { 'X-Auto-Response-Suppress': 'All' }),
    },
    // As objects, because nodemailer would parse a string, and a comma in it would add a recipient.
    from: addressObject(from),
    to: to.map(addressObject),
    subject,
    text,
    messageId,
    date: new Date(date),
    ...(inReplyTo !== undefined && { inReplyTo }),
    ...(references !== undefined && { references: [...references] }),
  }
}

/** The content of a mail as bytes for the outbox. A mail is composed only when it is sent, because a database
 *  transaction cannot wait for the composer. Throws the same Problems as `composeMail`. */
export function serializeMail(content: MailContent): Uint8Array {
  check(content)
  return new TextEncoder().encode(JSON.stringify(content))
}

/** Reads the bytes of `serializeMail`. The composed mail has the same bytes each time. */
export function deserializeMail(serialized: Uint8Array): MailToCompose {
  return mailToCompose(JSON.parse(new TextDecoder().decode(serialized)) as MailContent)
}

function addressObject(address: string): { name: string; address: string } {
  return { name: '', address }
}

function check(content: MailContent): void {
  const { from, to, subject, text, date } = content
  if (to.length === 0 || ![from, ...to].every(isMailAddress))
    throw invalidMail('an address that is not valid')
  if (/\p{Cc}/u.test(subject) || subject.length > 200) throw invalidMail('a subject that is not valid')
  const ids = [content.messageId, ...(content.references ?? [])]
  if (content.inReplyTo !== undefined) ids.push(content.inReplyTo)
  if (!ids.every(isMessageId)) throw invalidMail('a Message-ID that is not valid')
  if (!/^[\t\n -~]*$/.test(text) || text.split('\n').some((line) => line.length > 76)) {
    throw invalidMail('a text that is not plain 7-bit lines')
  }
  if (Number.isNaN(new Date(date).getTime())) throw invalidMail('a date that is not valid')
}

function invalidMail(what: string): Problem {
  return new Problem(
    'internal',
    `A mail could not be composed, because it has ${what}.`,
    'Please report this.',
  )
}
