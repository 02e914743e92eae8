// From the bytes of a mail to what host and agent need of it. Whatever is in the bytes, the answer is a
// value; limits are set before any parser sees them.

import { holdsLetter } from '../../letter/armor.ts'
import { addressesOf, singleAddressOf } from './address-header.ts'
import {
  decodeWords,
  fieldValues,
  type HeaderField,
  headerEnd,
  headerLimitBytes,
  quickHeaders,
} from './header-fields.ts'
import { textOfHtml } from './html-text.ts'

export type ReadMail = {
  /** The one address in the one From field. */
  readonly from: string
  /** Addresses of To and Cc. */
  readonly to: readonly string[]
  readonly subject: string
  /** Unix milliseconds; null when missing or not readable. */
  readonly date: number | null
  /** With angle brackets. */
  readonly messageId: string | null
  readonly inReplyTo: string | null
  readonly text: string
}

export type MimeReading =
  | { readonly ok: true; readonly mail: ReadMail }
  | { readonly ok: false; readonly refusal: 'too-big' | 'bad-mail' }

const bad = { ok: false, refusal: 'bad-mail' } as const

/** A letter has one part, its HTML twin and what a list server appends make a few. */
const partLimit = 20

/** Mails in mails: a forwarded one may have been forwarded. */
const nestingLimit = 2

// What a block looks like at its beginning unless somebody tampered with the line; quickly found.
const blockBegins = /\[peerpost letter begins\]/

/** Never throws or rejects. */
export async function readMail(raw: Uint8Array, maxBytes: number): Promise<MimeReading> {
  if (raw.length > maxBytes || headerEnd(raw) === null) return { ok: false, refusal: 'too-big' }
  try {
    const fields = quickHeaders(raw)
    const [from, secondFrom] = fieldValues(fields, 'from')
    if (from === undefined || secondFrom !== undefined) return bad
    const sender = singleAddressOf(from)
    if (sender === null) return bad
    const text = plainText(raw, fields) ?? (await readText(raw, nestingLimit))
    if (text === null) return bad
    const one = (name: string) => fieldValues(fields, name)[0] ?? ''
    const mail: ReadMail = {
      from: sender,
      to: [...fieldValues(fields, 'to'), ...fieldValues(fields, 'cc')]
        .flatMap((value) => addressesOf(value))
        .slice(0, 100),
      subject: decodeWords(one('subject')),
      date: readDate(one('date')),
      messageId: readMessageId(one('message-id')),
      inReplyTo: readMessageId(one('in-reply-to')),
      text,
    }
    return { ok: true, mail }
  } catch {
    // RangeError from a charset library, and what else parsers think of.
    return bad
  }
}

/** The body of a mail as agents and hosts send it: one part of unencoded text with a block in it. Null for whatever
 *  needs a MIME parser, which costs more than opening the letter. */
function plainText(raw: Uint8Array, fields: readonly HeaderField[]): string | null {
  const [type = 'text/plain', secondType] = fieldValues(fields, 'content-type')
  const [encoding = '7bit', secondEncoding] = fieldValues(fields, 'content-transfer-encoding')
  if (secondType !== undefined || secondEncoding !== undefined || !/^[78]bit$/i.test(encoding)) return null
  if (!/^text\/plain(?:; *charset="?(?:us-ascii|utf-8)"?)?(?:; *format="?(?:flowed|fixed)"?)?$/i.test(type))
    return null
  const text = new TextDecoder('utf-8').decode(raw.subarray(headerEnd(raw) ?? raw.length))
  return blockBegins.test(text) ? text : null
}

/** The plain text part; the HTML part or what is attached where that has a block and the text has none, or where
 *  there is nothing else. */
async function readText(raw: Uint8Array, nesting: number): Promise<string | null> {
  // Loaded when it is needed, which for most hosts and agents is never: it takes a tenth of their memory.
  const { simpleParser } = await import('mailparser')
  const parsed = await simpleParser(withContentFieldsOnly(raw), parserLimits)
  const plain = parsed.text ?? ''
  if (holdsLetter(plain)) return plain
  const html = typeof parsed.html === 'string' ? textOfHtml(parsed.html) : ''
  if (holdsLetter(html)) return html
  for (const { contentType, content } of parsed.attachments.slice(0, partLimit)) {
    const attached = await textOfAttachment(contentType, content, nesting)
    if (attached !== null && holdsLetter(attached)) return attached
  }
  const text = plain.trim() === '' ? html : plain
  return text.trim() === '' ? null : text
}

/** The parser takes every address and every field apart, of which there may be thousands that nobody asked for. */
function withContentFieldsOnly(raw: Uint8Array): Buffer {
  const fields = quickHeaders(raw).filter(({ name }) => name.startsWith('content-'))
  const head = fields.map(({ name, value }) => `${name}: ${value}\r\n`).join('')
  return Buffer.concat([Buffer.from(`${head}\r\n`), raw.subarray(afterHeader(raw))])
}

/** A header that fills the mail is followed by nothing. */
function afterHeader(raw: Uint8Array): number {
  const end = headerEnd(raw) ?? raw.length
  if (raw[end] === 0x0d) return end + 2
  return raw[end] === 0x0a ? end + 1 : end
}

/** A forwarded mail, or a text that a program took for a file. */
async function textOfAttachment(type: string, content: Uint8Array, nesting: number): Promise<string | null> {
  if (type === 'message/rfc822') return nesting > 0 ? readText(content, nesting - 1) : null
  return type === 'text/plain' ? new TextDecoder('utf-8').decode(content) : null
}

const parserLimits = {
  // Conversions whose cost grows faster than the mail, and that change text (links become markup).
  skipHtmlToText: true,
  skipTextToHtml: true,
  skipTextLinks: true,
  skipImageLinks: true,
  keepCidLinks: true,
  maxHtmlLengthToParse: 0,
  // Of the splitter beneath, which counts the headers of all parts and the parts themselves.
  maxHeadSize: headerLimitBytes,
  maxChildNodes: partLimit,
  ignoreEmbedded: true,
}

function readDate(value: string): number | null {
  if (value === '' || value.length > 100) return null
  const date = Date.parse(value.replace(/\([^()]*\)/g, ''))
  return Number.isNaN(date) ? null : date
}

function readMessageId(value: string): string | null {
  return /^<[!-;=?-~]{1,250}>$/.test(value) ? value : null
}
