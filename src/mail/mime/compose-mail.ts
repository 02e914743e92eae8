// Builds the mails peerpost sends, by nodemailer's composer: one text/plain part, 7bit, the same bytes for the same input,
// so that a mail sent twice is recognisably one mail.

import { createTransport } from 'nodemailer'
import { Problem } from '../../base/problem.ts'
import { isMailAddress, isMessageId } from '../../letter/text-validation.ts'

export type MailContent = {
  readonly from: string
  readonly to: readonly string[]
  readonly subject: string
  /** ASCII lines of at most 76 characters, ended by LF. */
  readonly text: string
  /** With angle brackets, as `newMessageId` makes it. */
  readonly messageId: string
  /** Unix milliseconds; the mail carries whole seconds. */
  readonly date: number
  /** RFC 3834: `generated` by itself, or `replied` to another mail. */
  readonly auto: 'generated' | 'replied'
  readonly inReplyTo?: string
  readonly references?: readonly string[]
}

/** One that the sender builds while it sends it. */
export type MailToCompose = {
  /** Envelope sender. */
  readonly from: string
  /** Envelope recipients, addresses only. */
  readonly to: readonly string[]
  readonly content: MailContent
}

/** Nothing in a mail may name a file or a page to be read. */
const composer = createTransport({
  streamTransport: true,
  buffer: true,
  newline: 'windows',
  disableFileAccess: true,
  disableUrlAccess: true,
})

/** A Message-ID from at least 16 bytes that never come again (RFC 5322 §3.6.4). */
export function newMessageId(unique: Uint8Array, domain: string): string {
  if (unique.length < 16) throw broken('a Message-ID from too few bytes')
  const id = `<${Buffer.from(unique).toString('hex')}@${domain}>`
  if (!isMessageId(id)) throw broken('a Message-ID that is not valid')
  return id
}

/** The RFC 5322 bytes, CRLF line ends. Rejects with a Problem `internal` rather than let anything into a header that could
 *  start a second field or name a second recipient. */
export async function composeMail(content: MailContent): Promise<Uint8Array> {
  check(content)
  const { message } = await composer.sendMail(composerFields(content))
  return message as Buffer
}

/** To its own recipients. Throws a Problem as `composeMail` rejects. */
export function mailToCompose(content: MailContent): MailToCompose {
  check(content)
  return { from: content.from, to: content.to, content }
}

/** As nodemailer's `sendMail` takes it, for whoever has it composed and sent at once. */
export function composerFields(content: MailContent) {
  const { from, to, subject, text, messageId, date, auto, inReplyTo, references } = content
  return {
    headers: {
      'Auto-Submitted': `auto-${auto}`,
      // Microsoft's servers answer mail of programs unless told not to.
      ...(auto === 'replied' && { 'X-Auto-Response-Suppress': 'All' }),
    },
    // As objects, for a string is taken apart, and a comma in it names another recipient.
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

/** What is to be composed, as bytes for the outbox: a letter is frozen inside a database transaction, which cannot wait for
 *  the composer. Throws a Problem as `composeMail` rejects. */
export function freezeMail(content: MailContent): Uint8Array {
  check(content)
  return new TextEncoder().encode(JSON.stringify(content))
}

/** The mail that `freezeMail` froze: composed, it is the same bytes each time. */
export function frozenMail(frozen: Uint8Array): MailToCompose {
  return mailToCompose(JSON.parse(new TextDecoder().decode(frozen)) as MailContent)
}

function addressObject(address: string): { name: string; address: string } {
  return { name: '', address }
}

function check(content: MailContent): void {
  const { from, to, subject, text, date } = content
  if (to.length === 0 || ![from, ...to].every(isMailAddress)) throw broken('an address that is not valid')
  if (/\p{Cc}/u.test(subject) || subject.length > 200) throw broken('a subject that is not valid')
  const ids = [content.messageId, ...(content.references ?? [])]
  if (content.inReplyTo !== undefined) ids.push(content.inReplyTo)
  if (!ids.every(isMessageId)) throw broken('a Message-ID that is not valid')
  if (!/^[\t\n -~]*$/.test(text) || text.split('\n').some((line) => line.length > 76)) {
    throw broken('a text that is not plain 7-bit lines')
  }
  if (Number.isNaN(new Date(date).getTime())) throw broken('a date that is none')
}

function broken(what: string): Problem {
  return new Problem('internal', `A mail was to be sent with ${what}.`, 'Please report this.')
}
