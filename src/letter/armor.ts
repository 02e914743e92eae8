// A sealed letter as text in a mail, and back. Between the markers stands base32 of:
//
//   0         1                 3              8
//   +---------+-----------------+--------------+------------------
//   | version | n (big-endian)  | checksum, 5  | sealed, n bytes      checksum over the other three
//   +---------+-----------------+--------------+------------------

import { concatBytes, equalBytes, viewOf } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import { Problem } from '../base/problem.ts'
import { base32Characters, fromBase32, toBase32 } from './base32.ts'
import { limits } from './limits.ts'
import { type Refused, refuse } from './refusal.ts'

// Brackets are outside base32, stay as they are when a mail program beautifies dashes and quotes, and keep
// the markers recognisable after lines are joined. Nothing here starts with "From " or a dot.
const beginLine = '[peerpost letter begins]'
const endLine = '[peerpost letter ends]'

const note = `This mail is part of a network game. The block below is a sealed
letter in which one player's game program tells another where
it can be reached. It is meant for that program: there is
nothing here for you to read or to do. If it came to you by
mistake, you can delete it.`

const armorVersion = 1
const checksumBytes = 5
const headerBytes = 3 + checksumBytes

function checksumOf(crypto: Crypto, prefix: Uint8Array, sealed: Uint8Array): Uint8Array {
  return crypto.hash(concatBytes(prefix, sealed), 16).subarray(0, checksumBytes)
}

/** 7-bit text with lines of at most 64 characters, each ended by LF: a note to people, then the block. */
export function armorLetter(crypto: Crypto, sealed: Uint8Array): string {
  if (sealed.length > limits.sealedBytes) {
    throw new Problem('internal', 'A sealed letter is too long for a mail.', 'Please report this.')
  }
  const prefix = Uint8Array.of(armorVersion, sealed.length >> 8, sealed.length & 0xff)
  const text = toBase32(concatBytes(prefix, checksumOf(crypto, prefix, sealed), sealed))
  const lines: string[] = []
  for (let at = 0; at < text.length; at += limits.armorLineCharacters) {
    lines.push(text.slice(at, at + limits.armorLineCharacters))
  }
  return `${note}\n\n${beginLine}\n${lines.join('\n')}\n${endLine}\n`
}

/** What mail programs add, drop or move: all white space, invisible marks, quoting, soft line ends. */
const insignificant = /[\s\p{Cc}\p{Cf}>|=]+/gu

function compact(text: string): string {
  return text.replace(insignificant, '').toLowerCase()
}

const begin = compact(beginLine)
const end = compact(endLine)

/** Finds the one block in a mail's text. Never throws; one pass over the text, at most one decoding. */
export function readArmor(
  crypto: Crypto,
  text: string,
): { readonly ok: true; readonly sealed: Uint8Array } | Refused {
  if (text.length > limits.armorTextCharacters) return refuse('too-big')
  const compacted = compact(text)
  const beginAt = compacted.indexOf(begin)
  if (beginAt < 0) return refuse(compacted.includes(end) ? 'mangled' : 'no-letter')
  const blockAt = beginAt + begin.length
  if (compacted.includes(begin, blockAt)) return refuse('several-letters')
  const endAt = compacted.indexOf(end, blockAt)
  if (endAt < 0) return refuse('mangled')
  if (endAt - blockAt > base32Characters(headerBytes + limits.sealedBytes)) return refuse('too-big')
  const bytes = fromBase32(compacted.slice(blockAt, endAt))
  return bytes ? readBlock(crypto, bytes) : refuse('mangled')
}

function readBlock(crypto: Crypto, bytes: Uint8Array) {
  if (bytes.length < headerBytes || viewOf(bytes).getUint16(1) !== bytes.length - headerBytes) {
    return refuse('mangled')
  }
  const prefix = bytes.subarray(0, 3)
  const sealed = bytes.slice(headerBytes)
  if (!equalBytes(bytes.subarray(3, headerBytes), checksumOf(crypto, prefix, sealed)))
    return refuse('mangled')
  // Only after the checksum, so that a damaged first byte is not taken for a newer version.
  if (prefix[0] !== armorVersion) return refuse('unknown-version')
  return { ok: true as const, sealed }
}
