// The real libsodium with all random choices drawn from a seed, so that a failing run can be repeated.
// Exception: crypto_box_seal draws its ephemeral key inside libsodium, so its output is not repeatable.

import type { Crypto } from '../../src/base/crypto.ts'
import { loadSodium } from '../../src/runtime/sodium.ts'

const sodium = await loadSodium()

export const realCrypto: Crypto = sodium

/** mulberry32: small and fast, good enough to vary tests, never for secrets. Uniform in [0, 1). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

export function seededCrypto(seed: number): Crypto {
  const random = seededRandom(seed)
  const randomBytes = (length: number) => Uint8Array.from({ length }, () => Math.floor(random() * 256))
  return {
    ...sodium,
    randomBytes,
    signKeyPair: (given) => sodium.signKeyPair(given ?? randomBytes(32)),
    boxKeyPair: (given) => sodium.boxKeyPair(given ?? randomBytes(32)),
  }
}
