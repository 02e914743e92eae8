// A token in the Message-ID of each mail. When a bounce returns it, it proves that the mail was ours, when we sent it and to
// whom. So the host need not remember sent mails, and nobody can forge a bounce of a mail that he did not get.
//
//   0          12          16           24
//   +----------+-----------+------------+
//   | random   | seconds   | proof, 8   |   in hexadecimal, before the @ of the Message-ID
//   +----------+-----------+------------+

import { concatBytes, equalBytes, viewOf } from '../../base/bytes.ts'
import type { Crypto, KeyPair } from '../../base/crypto.ts'

const randomBytes = 12
const signedBytes = 16
const proofBytes = 8

export function bounceTokenKey(crypto: Crypto, identity: KeyPair): Uint8Array {
  // The seed of an Ed25519 secret key is its first half.
  return crypto.derive(identity.secretKey.subarray(0, 32), 'pp-marks', 1)
}

export function bounceToken(crypto: Crypto, key: Uint8Array, recipient: string, sentAt: number): Uint8Array {
  const head = new Uint8Array(signedBytes)
  head.set(crypto.randomBytes(randomBytes))
  viewOf(head).setUint32(randomBytes, Math.floor(sentAt / 1000) % 2 ** 32)
  return concatBytes(head, proofOf(crypto, key, head, recipient))
}

/** When the mail with this ID was sent to this recipient, in Unix ms; null when it is not our mail to this recipient. */
export function readBounceToken(
  crypto: Crypto,
  key: Uint8Array,
  messageId: string,
  recipient: string,
): number | null {
  const hex = /^<([0-9a-f]{48})@[^@]*>$/i.exec(messageId)?.[1]
  if (hex === undefined) return null
  const token = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
  const head = token.subarray(0, signedBytes)
  if (!equalBytes(token.subarray(signedBytes), proofOf(crypto, key, head, recipient))) return null
  return viewOf(head).getUint32(randomBytes) * 1000
}

/** Ignores the case of the address, which mail servers change. */
function proofOf(crypto: Crypto, key: Uint8Array, head: Uint8Array, recipient: string): Uint8Array {
  const bound = concatBytes(head, new TextEncoder().encode(recipient.toLowerCase()))
  return crypto.hash(bound, 16, key).subarray(0, proofBytes)
}
