// The packets of punching: checks and confirmations. All have the same size, so that an answer is never larger
// than the request and an observer cannot tell them apart.
//
//   0        1                9                      33                                    77
//   +--------+----------------+----------------------+-------------------------------------+
//   | 0xC1   | tag (8)        | nonce (24)           | sealed: 28 bytes and 16 of checksum |
//   +--------+----------------+----------------------+-------------------------------------+
//
// Encrypted with XChaCha20-Poly1305 under the sender's key. The first nine bytes are the associated data:
//
//   0        1                5                9        10                       28
//   +--------+----------------+----------------+--------+------------------------+
//   | type   | sequence       | confirms       | length | observed, then zeros   |
//   +--------+----------------+----------------+--------+------------------------+
//
// type: 1 check, 2 confirm. sequence: the sender's counter, from a random start. confirms: the sequence of the
// confirmed check; 0 in a check. observed: the source of that check, as address and port in `length` bytes, 6
// or 18; length is 0 in a check.

import { concatBytes, equalBytes, viewOf } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import { decodeEndpoint, type Endpoint, encodeEndpoint } from '../base/endpoint.ts'

export type CheckKeys = {
  /** Names the attempt; 8 bytes, the same on both sides. */
  readonly tag: Uint8Array
  /** 32 bytes each. The peer has them swapped. */
  readonly sendKey: Uint8Array
  readonly receiveKey: Uint8Array
}

/** Sequences are unsigned 32-bit numbers that wrap round. */
export type CheckPacket =
  | { readonly type: 'check'; readonly sequence: number }
  | {
      readonly type: 'confirm'
      readonly sequence: number
      readonly confirms: number
      readonly observed: Endpoint
    }

export const checkPacketBytes = 77
const firstByte = 0xc1
const headerBytes = 9
const nonceBytes = 24
const plainBytes = 28
const checkType = 1
const confirmType = 2

export function sealCheck(
  crypto: Pick<Crypto, 'randomBytes' | 'encrypt'>,
  keys: CheckKeys,
  packet: CheckPacket,
): Uint8Array {
  const plain = new Uint8Array(plainBytes)
  const view = viewOf(plain)
  view.setUint32(1, packet.sequence)
  if (packet.type === 'check') plain[0] = checkType
  else {
    const observed = encodeEndpoint(packet.observed)
    plain[0] = confirmType
    view.setUint32(5, packet.confirms)
    plain[9] = observed.length
    plain.set(observed, 10)
  }
  const header = concatBytes(Uint8Array.of(firstByte), keys.tag)
  const nonce = crypto.randomBytes(nonceBytes)
  return concatBytes(header, nonce, crypto.encrypt(keys.sendKey, nonce, plain, header))
}

/** Null for anything that the peer did not send in this attempt: foreign, altered, reflected, or malformed. */
export function openCheck(
  crypto: Pick<Crypto, 'decrypt'>,
  keys: CheckKeys,
  bytes: Uint8Array,
): CheckPacket | null {
  const tag = checkTag(bytes)
  if (!tag || !equalBytes(tag, keys.tag)) return null
  const header = bytes.subarray(0, headerBytes)
  const nonce = bytes.subarray(headerBytes, headerBytes + nonceBytes)
  const plain = crypto.decrypt(keys.receiveKey, nonce, bytes.subarray(headerBytes + nonceBytes), header)
  if (!plain || plain.length !== plainBytes) return null
  const view = viewOf(plain)
  const sequence = view.getUint32(1)
  const confirms = view.getUint32(5)
  const observedBytes = plain[9] as number
  if (plain.subarray(10 + observedBytes).some((byte) => byte !== 0)) return null
  if (plain[0] === checkType) {
    return confirms === 0 && observedBytes === 0 ? { type: 'check', sequence } : null
  }
  if (plain[0] !== confirmType || observedBytes > plainBytes - 10) return null
  const observed = decodeEndpoint(plain.subarray(10, 10 + observedBytes))
  return observed && { type: 'confirm', sequence, confirms, observed }
}

/** The tag of a datagram that has the shape of a check packet; else null. Does not prove authenticity. */
export function checkTag(bytes: Uint8Array): Uint8Array | null {
  return bytes.length === checkPacketBytes && bytes[0] === firstByte ? bytes.subarray(1, headerBytes) : null
}
