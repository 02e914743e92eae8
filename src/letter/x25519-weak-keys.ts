// X25519 public keys of small order: with them every shared secret is zero (RFC 7748 §6.1). The list is from libsodium.
// libsodium throws when it seals to one, so a letter with such a key is refused when it is read.

import { toHex } from '../base/bytes.ts'

const ones = 'ff'.repeat(30)

/** The top bit is cleared, because X25519 ignores it. */
const smallOrder: ReadonlySet<string> = new Set([
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  `ec${ones}7f`,
  `ed${ones}7f`,
  `ee${ones}7f`,
])

/** Whether libsodium can seal to this key of 32 bytes. */
export function isUsableBoxKey(key: Uint8Array): boolean {
  const canonical = key.slice()
  canonical[31] = (canonical[31] ?? 0) & 0x7f
  return !smallOrder.has(toHex(canonical))
}
