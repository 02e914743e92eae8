// Base32 (RFC 4648 §6, no padding) in lower case: long stretches of capitals raise spam scores.

import { base32nopad } from '@scure/base'

export function toBase32(bytes: Uint8Array): string {
  return base32nopad.encode(bytes).toLowerCase()
}

/** Null for a character outside a–z 2–7, an impossible length, or spare bits that are not zero. */
export function fromBase32(text: string): Uint8Array | null {
  if (!/^[a-z2-7]*$/.test(text)) return null
  try {
    return base32nopad.decode(text.toUpperCase())
  } catch {
    return null
  }
}

/** Characters that `bytes` bytes take. */
export function base32Characters(bytes: number): number {
  return Math.ceil((bytes * 8) / 5)
}
