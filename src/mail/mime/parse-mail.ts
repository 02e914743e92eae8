// Adds to mailparser: limits, a check of From, and the one text that may have a letter.
// Never throws, whatever the bytes are. A mail is parsed once, and the ParsedMail is passed on.

import {
  type HeaderLines,
  type ParsedMail as LibraryMail,
  parseAddressHeader,
  simpleParser,
} from 'mailparser'
import { hasLetter } from '../../letter/armor.ts'
import { isMailAddress, isMessageId } from '../../letter/text-validation.ts'

/** The rest of a longer header is not read. Each mail server on the way adds a few fields. */
export const headerLimitBytes = 65_536

export type HeaderField = {
  /** Lower case. */
  readonly name: string
  /** Unfolded, trimmed, not decoded. */
  readonly value: string
}

export type MailHeader = {
  /** All fields in their order. mailparser's own map keeps only the first of some repeated fields. */
  readonly fields: readonly HeaderField[]
  /** The address in From. Null unless there is exactly one From field with exactly one plain address. */
  readonly from: string | null
  /** Plain addresses of To and Cc. */
  readonly to: readonly string[]
  /** Recipients in the fields that delivering servers write. */
  readonly deliveredTo: readonly string[]
  /** Null if there is none, or more than one. */
  readonly subject: string | null
  /** Unix milliseconds; null when missing or not readable. */
  readonly date: number | null
  /** With angle brackets. */
  readonly messageId: string | null
  readonly inReplyTo: string | null
}

export type ReadMail = {
  /** The only address in the only From field. */
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

type MimeReading =
  | { readonly ok: true; readonly mail: ReadMail }
  | { readonly ok: false; readonly refusal: 'too-big' | 'bad-mail' }

export type ParsedMail = {
  /** The header as far as it could be read, even if the mail is refused. */
  readonly header: MailHeader
  readonly content: MimeReading
}

const bad = { ok: false, refusal: 'bad-mail' } as const
const tooBig = { ok: false, refusal: 'too-big' } as const

/** A letter has one part. Mail servers and lists add a few more. */
const partLimit = 20

/** Levels of forwarded mails inside mails. */
const nestingLimit = 2

/** Characters of HTML that are read. The largest letter fits. Nested lists of this length take 0.14 s to convert,
 *  and twice the length takes four times as long. */
const htmlLimit = 65_536

const parserLimits = {
  // These steps are not needed for each mail, and they change text (links become markup).
  skipHtmlToText: true,
  skipTextToHtml: true,
  skipTextLinks: true,
  skipImageLinks: true,
  keepCidLinks: true,
  // mailparser counts at least 64 bytes for each line. With this limit it accepts every header that we accept.
  maxHeadSize: 64 * headerLimitBytes,
  maxChildNodes: partLimit,
  // Mails inside mails become attachments, which are read up to `nestingLimit`.
  ignoreEmbedded: true,
}

/** Never throws or rejects. */
export async function parseMail(raw: Uint8Array, maxBytes: number): Promise<ParsedMail> {
  if (raw.length > maxBytes || headerEnd(raw) === null)
    return { header: await parseHeader(raw), content: tooBig }
  try {
    const parsed = await simpleParser(bufferOf(raw), parserLimits)
    const header = headerOf(parsed, raw)
    return { header, content: await contentOf(header, parsed) }
  } catch {
    // Too many parts, a RangeError of a charset library, or another error of the parser.
    return { header: await parseHeader(raw), content: bad }
  }
}

/** Parses the header at the start of a mail, to decide whether the mail is ours. Never throws or rejects. */
export async function parseHeader(start: Uint8Array): Promise<MailHeader> {
  const header = start.subarray(0, headerEnd(start) ?? headerLimitBytes)
  try {
    return headerOf(await simpleParser(bufferOf(header), parserLimits), header)
  } catch {
    return headerOf(null, header)
  }
}

/** The index after the last line of the header. Null if the header is longer than the limit. The parser gets no
 *  more than this. */
export function headerEnd(raw: Uint8Array): number | null {
  const end = Math.min(raw.length, headerLimitBytes)
  let lineStart = 0
  for (let i = 0; i < end; i++) {
    if (raw[i] !== 0x0a) continue
    const length = i - lineStart - (i > lineStart && raw[i - 1] === 0x0d ? 1 : 0)
    if (length === 0) return lineStart
    lineStart = i + 1
  }
  return raw.length <= headerLimitBytes ? raw.length : null
}

export function fieldValues(fields: readonly HeaderField[], name: string): string[] {
  return fields.filter((field) => field.name === name).map(({ value }) => value)
}

async function contentOf(header: MailHeader, parsed: LibraryMail): Promise<MimeReading> {
  const { from, to, date, messageId, inReplyTo } = header
  if (from === null) return bad
  const text = await letterText(parsed, nestingLimit)
  if (text === null) return bad
  const subject = parsed.subject ?? ''
  return { ok: true, mail: { from, to: to.slice(0, 100), subject, date, messageId, inReplyTo, text } }
}

function headerOf(parsed: LibraryMail | null, raw: Uint8Array): MailHeader {
  const fields = (parsed?.headerLines ?? []).map(fieldOf)
  const of = (...names: string[]) => names.flatMap((name) => plainAddresses(fieldValues(fields, name)))
  const subjects = fieldValues(fields, 'subject')
  return {
    fields,
    from: isFromOneMailbox(fields, raw) ? singleAddress(fieldValues(fields, 'from')) : null,
    to: of('to', 'cc'),
    deliveredTo: of('delivered-to', 'x-original-to', 'envelope-to'),
    subject: subjects.length === 1 ? (parsed?.subject ?? '') : null,
    date: readDate(fieldValues(fields, 'date')[0] ?? ''),
    messageId: idOf(parsed?.messageId),
    inReplyTo: idOf(parsed?.inReplyTo),
  }
}

/** In mailparser's line each character is one byte. */
function fieldOf({ key, line }: HeaderLines[number]): HeaderField {
  const text = Buffer.from(line.slice(line.indexOf(':') + 1), 'latin1').toString('utf8')
  const lines = text.split(/\r?\n/).map((part) => part.trim())
  return { name: key, value: lines.join(' ').trim() }
}

/** Refuses fields that mailparser and other programs understand differently. mailparser reads `a@b.c <d@e.f>` and
 *  `"a@b.c" <>` as one mailbox, and ignores a field with white space before its colon (RFC 5322 §4.5). */
function isFromOneMailbox(fields: readonly HeaderField[], raw: Uint8Array): boolean {
  const [from, ...more] = fieldValues(fields, 'from')
  if (from === undefined || more.length > 0) return false
  const header = bufferOf(raw.subarray(0, headerEnd(raw) ?? headerLimitBytes)).toString('latin1')
  if (/^from[ \t]+:/im.test(header)) return false
  const outsideQuotes = from.replace(/"(?:[^"\\]|\\.)*"|\((?:[^()\\]|\\.)*\)/g, '')
  return outsideQuotes.split('@').length === 2
}

function singleAddress(from: string[]): string | null {
  const [first, ...more] = parseAddressHeader(from, { decodePunycode: false }).value
  const address = first?.address ?? ''
  return first?.group === undefined && more.length === 0 && isMailAddress(address) ? address : null
}

/** All plain addresses in these values, also those in groups. Domains are not decoded. */
export function plainAddresses(values: string[], limit = 100): string[] {
  return parseAddressHeader(values, { decodePunycode: false, flatten: true })
    .value.slice(0, limit)
    .map(({ address }) => address ?? '')
    .filter(isMailAddress)
}

/** mailparser replaces an invalid date by the current time, so this reads the line itself. */
function readDate(value: string): number | null {
  if (value === '' || value.length > 100) return null
  const date = Date.parse(value.replace(/\([^()]*\)/g, ''))
  return Number.isNaN(date) ? null : date
}

function idOf(id: string | undefined): string | null {
  return id !== undefined && isMessageId(id) ? id : null
}

/** The plain text, or the text of the HTML part or an attachment if only that has a block. Null if there is no text. */
async function letterText(parsed: LibraryMail, nesting: number): Promise<string | null> {
  const plain = parsed.text ?? ''
  if (hasLetter(plain)) return plain
  const html = typeof parsed.html === 'string' ? await textOfHtml(parsed.html) : null
  if (html !== null && hasLetter(html)) return html
  for (const { contentType, content } of parsed.attachments.slice(0, partLimit)) {
    const attached = await textOfAttachment(contentType, content, nesting)
    if (attached !== null && hasLetter(attached)) return attached
  }
  const text = plain.trim() === '' ? (html ?? '') : plain
  if (text.trim() !== '') return text
  // The HTML is nested too deeply to be converted: there is text, but no letter.
  return typeof parsed.html === 'string' && html === null ? '' : null
}

/** Null if mailparser cannot convert the HTML. It converts HTML only in a mail without plain text, so this makes
 *  such a mail. */
async function textOfHtml(html: string): Promise<string | null> {
  const mail = Buffer.from(`Content-Type: text/html; charset=utf-8\n\n${html.slice(0, htmlLimit)}`)
  const { text, textConversionError } = await simpleParser(mail, { ...parserLimits, skipHtmlToText: false })
  // Readers see a no-break space as a space.
  return textConversionError === undefined ? (text ?? '').replaceAll('\u00a0', ' ') : null
}

/** The text of a forwarded mail, or of a text that is attached as a file. */
async function textOfAttachment(type: string, content: Uint8Array, nesting: number): Promise<string | null> {
  if (type === 'message/rfc822') {
    return nesting > 0 ? letterText(await simpleParser(bufferOf(content), parserLimits), nesting - 1) : null
  }
  return type === 'text/plain' ? new TextDecoder('utf-8').decode(content) : null
}

/** The same bytes as a Buffer, for mailparser. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
