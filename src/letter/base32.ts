// Base32 (RFC 4648 §6) without padding. In lower case, because spam filters dislike long runs of capitals.

import { base32nopad } from '@scure/base'

export function toBase32(bytes: Uint8Array): string {
  return base32nopad.encode(bytes).toLowerCase()
}

/** Null if a character is not a–z or 2–7, the length is impossible, or the unused last bits are not zero. */
export function fromBase32(text: string): Uint8Array | null {
  if (!/^[a-z2-7]*$/.test(text)) return null
  try {
    return base32nopad.decode(text.toUpperCase())
  } catch {
    return null
  }
}

/** How many characters `bytes` bytes need. */
export function base32Characters(bytes: number): number {
  return Math.ceil((bytes * 8) / 5)
}
