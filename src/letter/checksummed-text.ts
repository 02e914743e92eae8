// Writes bytes as one word of lower-case letters and digits that people can copy and paste. The word is a prefix and
// the base32 of: length of the content (2 bytes, big-endian), checksum (5 bytes), content.

import { concatBytes, equalBytes, viewOf } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import { base32Characters, fromBase32, toBase32 } from './base32.ts'
import { limits } from './limits.ts'

/** `incomplete`: shorter than its length field says. `typo`: complete, but a character is wrong. If the length
 *  field itself is damaged, one can be reported as the other. */
type WordFault = 'no-word' | 'incomplete' | 'typo'

type WordReading =
  | { readonly ok: true; readonly content: Uint8Array }
  | { readonly ok: false; readonly fault: WordFault }

const checksumBytes = 5
const headerBytes = 2 + checksumBytes
const headerCharacters = 16

/** `prefix` must end with a digit that base32 does not use, so that it never occurs in the content. */
export function writeWord(crypto: Crypto, prefix: string, content: Uint8Array): string {
  const length = Uint8Array.of(content.length >> 8, content.length & 0xff)
  return prefix + toBase32(concatBytes(length, checksumOf(crypto, content), content))
}

/** Only the letters and digits of a pasted text, in lower case. The text may be quoted, broken over lines or in
 *  capitals. */
export function compactText(text: string): string {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, '')
}

/** Reads the last word with this prefix in the text. */
export function readWord(crypto: Crypto, prefix: string, text: string): WordReading {
  if (text.length > limits.inviteTextCharacters) return fault('no-word')
  const compact = compactText(text)
  const at = compact.lastIndexOf(prefix)
  if (at < 0) return fault('no-word')
  const characters = compact.slice(at + prefix.length)
  if (characters.length < headerCharacters) return fault('incomplete')
  const header = fromBase32(characters.slice(0, headerCharacters))
  if (!header) return fault('typo')
  const length = viewOf(header).getUint16(0)
  if (length > limits.inviteBytes) return fault('typo')
  const expected = base32Characters(headerBytes + length)
  if (characters.length < expected) return fault('incomplete')
  // More characters may follow: the rest of the pasted sentence.
  const bytes = fromBase32(characters.slice(0, expected))
  if (!bytes) return fault('typo')
  const content = bytes.subarray(headerBytes)
  if (!equalBytes(bytes.subarray(2, headerBytes), checksumOf(crypto, content))) return fault('typo')
  return { ok: true, content }
}

function checksumOf(crypto: Crypto, content: Uint8Array): Uint8Array {
  return crypto.hash(content, 16).subarray(0, checksumBytes)
}

function fault(reason: WordFault): WordReading {
  return { ok: false, fault: reason }
}
