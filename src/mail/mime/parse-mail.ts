// From the bytes of a mail to what host and agent need of it, by mailparser. Whatever is in the bytes, the answer is a
// value; limits are set before the parser sees them. A mail is parsed once, and the ParsedMail travels.

import {
  type HeaderLines,
  type ParsedMail as LibraryMail,
  parseAddressHeader,
  simpleParser,
} from 'mailparser'
import { hasLetter } from '../../letter/armor.ts'
import { isMailAddress, isMessageId } from '../../letter/text-validation.ts'

/** Headers beyond this are not read: no letter needs them, and every relay adds its own few. */
export const headerLimitBytes = 65_536

export type HeaderField = {
  /** Lower case. */
  readonly name: string
  /** Unfolded, trimmed, not decoded. */
  readonly value: string
}

export type MailHeader = {
  /** In their order, doubled ones too: of some fields mailparser's own map keeps only the first. */
  readonly fields: readonly HeaderField[]
  /** The one plain address in the one From field; null where it is not so. */
  readonly from: string | null
  /** Plain addresses of To and Cc. */
  readonly to: readonly string[]
  /** Of the fields in which delivering servers write whom they deliver to. */
  readonly deliveredTo: readonly string[]
  /** Null where there is none, or more than one. */
  readonly subject: string | null
  /** Unix milliseconds; null when missing or not readable. */
  readonly date: number | null
  /** With angle brackets. */
  readonly messageId: string | null
  readonly inReplyTo: string | null
}

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

type MimeReading =
  | { readonly ok: true; readonly mail: ReadMail }
  | { readonly ok: false; readonly refusal: 'too-big' | 'bad-mail' }

export type ParsedMail = {
  /** What could be read of it, also where the mail is refused. */
  readonly header: MailHeader
  readonly content: MimeReading
}

const bad = { ok: false, refusal: 'bad-mail' } as const
const tooBig = { ok: false, refusal: 'too-big' } as const

/** A letter has one part, its HTML twin and what a list server appends make a few. */
const partLimit = 20

/** Mails in mails: a forwarded one may have been forwarded. */
const nestingLimit = 2

/** Characters of HTML that are read: nested lists of this length cost 0.14 s, and four times that at twice the length. The
 *  largest letter fits. */
const htmlLimit = 65_536

const parserLimits = {
  // Work that is not needed for each mail, and that changes text (links become markup).
  skipHtmlToText: true,
  skipTextToHtml: true,
  skipTextLinks: true,
  skipImageLinks: true,
  keepCidLinks: true,
  // Each line counts as 64 bytes at least; a header that is short enough for us is so for the parser, too.
  maxHeadSize: 64 * headerLimitBytes,
  maxChildNodes: partLimit,
  // Mails in mails come as attachments, which are read up to `nestingLimit`.
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
    // Too many parts, RangeError from a charset library, and what else parsers think of.
    return { header: await parseHeader(raw), content: bad }
  }
}

/** From the beginning of a mail: enough to tell whether it is ours. Never throws or rejects. */
export async function parseHeader(start: Uint8Array): Promise<MailHeader> {
  const header = start.subarray(0, headerEnd(start) ?? headerLimitBytes)
  try {
    return headerOf(await simpleParser(bufferOf(header), parserLimits), header)
  } catch {
    return headerOf(null, header)
  }
}

/** Where the header ends: the index after its last line, or null where no empty line is in sight. It bounds what the
 *  parser is given. */
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

/** The parser's line has one character for each byte. */
function fieldOf({ key, line }: HeaderLines[number]): HeaderField {
  const text = Buffer.from(line.slice(line.indexOf(':') + 1), 'latin1').toString('utf8')
  const lines = text.split(/\r?\n/).map((part) => part.trim())
  return { name: key, value: lines.join(' ').trim() }
}

/** What the parser lets pass and others read otherwise: it takes `a@b.c <d@e.f>` and `"a@b.c" <>` for one mailbox, and
 *  passes over a field with white space before its colon (RFC 5322 §4.5). */
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

/** All plain addresses in these values, groups taken apart and domains left as mail servers write them. */
export function plainAddresses(values: string[], limit = 100): string[] {
  return parseAddressHeader(values, { decodePunycode: false, flatten: true })
    .value.slice(0, limit)
    .map(({ address }) => address ?? '')
    .filter(isMailAddress)
}

/** The parser puts the present in the place of a date that it cannot read, so this reads the line itself. */
function readDate(value: string): number | null {
  if (value === '' || value.length > 100) return null
  const date = Date.parse(value.replace(/\([^()]*\)/g, ''))
  return Number.isNaN(date) ? null : date
}

function idOf(id: string | undefined): string | null {
  return id !== undefined && isMessageId(id) ? id : null
}

/** The plain text; the HTML part or what is attached where that has a block and the text has none. Null where there is
 *  nothing to read. */
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
  // HTML too deep to be made text: something is there, but no letter.
  return typeof parsed.html === 'string' && html === null ? '' : null
}

/** Null where the parser refuses to. It makes text of HTML only in a mail without any other text, so this is one. */
async function textOfHtml(html: string): Promise<string | null> {
  const mail = Buffer.from(`Content-Type: text/html; charset=utf-8\n\n${html.slice(0, htmlLimit)}`)
  const { text, textConversionError } = await simpleParser(mail, { ...parserLimits, skipHtmlToText: false })
  // A space that does not break is one to whoever reads it.
  return textConversionError === undefined ? (text ?? '').replaceAll('\u00a0', ' ') : null
}

/** A forwarded mail, or a text that a program took for a file. */
async function textOfAttachment(type: string, content: Uint8Array, nesting: number): Promise<string | null> {
  if (type === 'message/rfc822') {
    return nesting > 0 ? letterText(await simpleParser(bufferOf(content), parserLimits), nesting - 1) : null
  }
  return type === 'text/plain' ? new TextDecoder('utf-8').decode(content) : null
}

/** The same bytes, as the parser wants them. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
