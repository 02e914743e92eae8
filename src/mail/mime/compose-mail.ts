// Builds the mails peerpost sends: one text/plain part, 7bit, the same bytes for the same input, so that a
// mail sent twice is recognisably one mail. nodemailer encodes and folds; its composer, made for parts and
// attachments, would cost more than sealing the letter.

import { encodeWords, foldLines } from 'nodemailer/lib/mime-funcs'
import { Problem } from '../../base/problem.ts'
import { isPlainAddress } from './address-header.ts'

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

/** A Message-ID from at least 16 bytes that never come again (RFC 5322 §3.6.4). */
export function newMessageId(unique: Uint8Array, domain: string): string {
  if (unique.length < 16) throw broken('a Message-ID from too few bytes')
  const id = `<${Buffer.from(unique).toString('hex')}@${domain}>`
  if (!isMessageId(id)) throw broken('a Message-ID that is not valid')
  return id
}

function isMessageId(text: string): boolean {
  return text.length <= 250 && /^<[!-;=?A-~]+@[!-;=?A-~]+>$/.test(text)
}

/** The RFC 5322 bytes, CRLF line ends. Throws a Problem `internal` rather than let anything into a header
 *  that could start a second field or name a second recipient. */
export function composeMail(content: MailContent): Uint8Array {
  check(content)
  const { auto, inReplyTo, references = [] } = content
  const fields: (readonly [name: string, value: string])[] = [
    ['Auto-Submitted', `auto-${auto}`],
    // Microsoft's servers answer mail of programs unless told not to.
    ...(auto === 'replied' ? [['X-Auto-Response-Suppress', 'All'] as const] : []),
    ['From', content.from],
    ['To', content.to.join(', ')],
    ['Subject', encodeWords(content.subject, 'Q', 52)],
    ['Message-ID', content.messageId],
    ...(inReplyTo === undefined ? [] : [['In-Reply-To', inReplyTo] as const]),
    ...(references.length === 0 ? [] : [['References', references.join(' ')] as const]),
    ['Date', new Date(content.date).toUTCString().replace('GMT', '+0000')],
    ['Content-Transfer-Encoding', '7bit'],
    ['MIME-Version', '1.0'],
    ['Content-Type', 'text/plain; charset=utf-8'],
  ]
  const header = fields.map(([name, value]) => foldLines(`${name}: ${value}`, 76)).join('\r\n')
  return new TextEncoder().encode(`${header}\r\n\r\n${content.text.replaceAll('\n', '\r\n')}`)
}

function check(content: MailContent): void {
  const { from, to, subject, text, date } = content
  if (to.length === 0 || ![from, ...to].every(isPlainAddress)) throw broken('an address that is not valid')
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
