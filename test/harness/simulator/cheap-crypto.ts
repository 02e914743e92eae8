// Replaces libsodium where hundreds of thousands of checks are sealed and opened: same interface and sizes, but
// no secrecy. The checksum depends on key, nonce, associated data and message. So wrong keys and altered or
// reflected packets are rejected; only a deliberate attacker could forge one.

import { viewOf } from '../../../src/base/bytes.ts'
import type { Crypto } from '../../../src/base/crypto.ts'
import { realCrypto, seededRandom } from '../seeded-crypto.ts'

export type CheckCrypto = Pick<Crypto, 'randomBytes' | 'encrypt' | 'decrypt' | 'pad' | 'unpad'>

const checksumBytes = 16

export function cheapCrypto(seed: number): CheckCrypto {
  const random = seededRandom(seed)
  return {
    pad: realCrypto.pad,
    unpad: realCrypto.unpad,
    randomBytes: (length) => {
      const bytes = new Uint8Array(length)
      for (let at = 0; at < length; at++) bytes[at] = random() * 256
      return bytes
    },
    encrypt: (key, nonce, message, associated) => {
      const sealed = new Uint8Array(message.length + checksumBytes)
      sealed.set(message)
      sign(sealed, message, key, nonce, associated)
      return sealed
    },
    decrypt: (key, nonce, sealed, associated) => {
      if (sealed.length < checksumBytes) return null
      const message = sealed.slice(0, sealed.length - checksumBytes)
      const expected = new Uint8Array(sealed.length)
      sign(expected, message, key, nonce, associated)
      for (let at = message.length; at < sealed.length; at++) if (sealed[at] !== expected[at]) return null
      return message
    },
  }
}

/** Writes the checksum into the last bytes of `into`: FNV-1a from two different starts, each mixed twice. */
function sign(into: Uint8Array, ...[message, key, nonce, associated]: readonly Uint8Array[]): void {
  const view = viewOf(into)
  for (let word = 0; word < 2; word++) {
    let state = 0x811c9dc5 ^ (word * 0x9e3779b9)
    for (const part of [key, nonce, associated, message]) {
      for (const byte of part ?? []) state = Math.imul(state ^ byte, 0x01000193)
      state = Math.imul(state ^ (part?.length ?? 0), 0x01000193)
    }
    view.setUint32(into.length - 16 + word * 8, state)
    view.setUint32(into.length - 12 + word * 8, Math.imul(state ^ (state >>> 15), 0x2c1b3c6d))
  }
}
