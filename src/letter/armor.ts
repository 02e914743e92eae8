// Writes sealed letters as text for a mail, and reads them. Between the two marker lines is the base32 of:
//
//   0         1                 3              8
//   +---------+-----------------+--------------+------------------
//   | version | n (big-endian)  | checksum, 5  | content, n bytes     checksum over the other three
//   +---------+-----------------+--------------+------------------
//
// A box is one sealed letter. Version 1: the content is one box. Version 2: the content is several boxes, each after its
// length in two bytes. Each box is a letter for another host (A12).

import { concatBytes, equalBytes, viewOf } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import { Problem } from '../base/problem.ts'
import { base32Characters, fromBase32, toBase32 } from './base32.ts'
import { limits } from './limits.ts'
import { type Refused, refuse } from './refusal.ts'

// Brackets are not base32 characters, so the markers are found even when lines were joined. Mail programs replace dashes
// and quotes by typographic ones, but not brackets. No line starts with "From " or a dot, which mail servers change.
const beginLine = '[peerpost letter begins]'
const endLine = '[peerpost letter ends]'

const note = `This mail is part of a network game. The block below is a sealed
letter in which one player's game program tells another where
it can be reached. It is meant for that program: there is
nothing here for you to read or to do. If it came to you by
mistake, you can delete it.`

const oneBox = 1
const severalBoxes = 2
const boxLengthBytes = 2
const checksumBytes = 5
const headerBytes = 3 + checksumBytes

function checksumOf(crypto: Crypto, prefix: Uint8Array, content: Uint8Array): Uint8Array {
  return crypto.hash(concatBytes(prefix, content), 16).subarray(0, checksumBytes)
}

/** Whether sealed letters of these sizes, in bytes, fit into one mail of an agent. */
export function fitOneMail(sizes: readonly number[]): boolean {
  return fit(sizes, limits.letterBoxes, limits.blockBytes)
}

function fit(sizes: readonly number[], mostBoxes: number, mostBytes: number): boolean {
  if (sizes.length === 0 || sizes.length > mostBoxes) return false
  if (sizes.some((size) => size > limits.sealedBytes)) return false
  return sizes.length === 1 || sizes.reduce((sum, size) => sum + boxLengthBytes + size, 0) <= mostBytes
}

/** A note for people, then the block with the boxes. 7-bit text, lines of at most 64 characters that end in LF. Throws a
 *  Problem (`internal`) if the boxes are too many or too long. */
export function armorLetter(crypto: Crypto, ...boxes: readonly Uint8Array[]): string {
  const sizes = boxes.map(({ length }) => length)
  if (!fit(sizes, limits.forwardedBoxes, limits.forwardedBlockBytes)) {
    throw new Problem('internal', 'A sealed letter is too long for a mail.', 'Please report this.')
  }
  const [first] = boxes
  const content =
    first && boxes.length === 1
      ? first
      : concatBytes(...boxes.flatMap((box) => [Uint8Array.of(box.length >> 8, box.length & 0xff), box]))
  const version = boxes.length === 1 ? oneBox : severalBoxes
  const prefix = Uint8Array.of(version, content.length >> 8, content.length & 0xff)
  const text = toBase32(concatBytes(prefix, checksumOf(crypto, prefix, content), content))
  const lines: string[] = []
  for (let at = 0; at < text.length; at += limits.armorLineCharacters) {
    lines.push(text.slice(at, at + limits.armorLineCharacters))
  }
  return `${note}\n\n${beginLine}\n${lines.join('\n')}\n${endLine}\n`
}

/** Mail programs add, drop and move white space, invisible marks, quote signs, dashes and stars. Only base32 characters and
 *  brackets count. */
const insignificant = /[^a-z2-7[\]]+/g

function compact(text: string): string {
  return text.toLowerCase().replace(insignificant, '')
}

const begin = compact(beginLine)
const end = compact(endLine)

/** Whether a begin marker is in the part of the text that is read. */
export function hasLetter(text: string): boolean {
  return compact(text.slice(0, limits.armorTextCharacters)).includes(begin)
}

/** `boxes`: sealed letters, 1 to `limits.forwardedBoxes`. */
type ReadArmor = { readonly ok: true; readonly boxes: readonly Uint8Array[] }

/** Finds the block in a mail's text. Never throws. Reads the text once and decodes at most one block. */
export function readArmor(crypto: Crypto, text: string): ReadArmor | Refused {
  if (text.length > limits.armorTextCharacters) return refuse('too-big')
  const compacted = compact(text)
  const beginAt = compacted.indexOf(begin)
  if (beginAt < 0) return refuse(compacted.includes(end) ? 'mangled' : 'no-letter')
  const blockAt = beginAt + begin.length
  if (compacted.includes(begin, blockAt)) return refuse('several-letters')
  const endAt = compacted.indexOf(end, blockAt)
  if (endAt < 0) return refuse('mangled')
  if (endAt - blockAt > base32Characters(headerBytes + limits.forwardedBlockBytes)) return refuse('too-big')
  const bytes = fromBase32(compacted.slice(blockAt, endAt))
  return bytes ? readBlock(crypto, bytes) : refuse('mangled')
}

function readBlock(crypto: Crypto, bytes: Uint8Array): ReadArmor | Refused {
  if (bytes.length < headerBytes || viewOf(bytes).getUint16(1) !== bytes.length - headerBytes) {
    return refuse('mangled')
  }
  const prefix = bytes.subarray(0, 3)
  const content = bytes.slice(headerBytes)
  if (!equalBytes(bytes.subarray(3, headerBytes), checksumOf(crypto, prefix, content)))
    return refuse('mangled')
  // Checked after the checksum: a damaged first byte must not be taken for a newer version.
  switch (prefix[0]) {
    case oneBox:
      return content.length > limits.sealedBytes ? refuse('too-big') : { ok: true, boxes: [content] }
    case severalBoxes:
      return readBoxes(content)
    default:
      return refuse('unknown-version')
  }
}

function readBoxes(content: Uint8Array): ReadArmor | Refused {
  const view = viewOf(content)
  const boxes: Uint8Array[] = []
  for (let at = 0; at < content.length; ) {
    if (boxes.length === limits.forwardedBoxes || at + boxLengthBytes > content.length)
      return refuse('malformed')
    const end = at + boxLengthBytes + view.getUint16(at)
    if (end > content.length) return refuse('malformed')
    boxes.push(content.subarray(at + boxLengthBytes, end))
    at = end
  }
  // One box must be written as version 1, so each letter has exactly one text.
  return boxes.length < 2 ? refuse('malformed') : { ok: true, boxes }
}
