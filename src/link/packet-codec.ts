// The two packets of a link as bytes. A datagram whose first byte is below 0x40 is STUN; 0xC1 marks a check
// packet.
//
// Handshake packet, always 148 bytes, so that an answer is never larger than the request:
//
//      0        1                 9                        33                                    132        148
//      +--------+-----------------+------------------------+-------------------------------------+----------+
//      |  0xC2  |  tag (8)        |  nonce (24), random    |  sealed plaintext (99)              | MAC (16) |
//      +--------+-----------------+------------------------+-------------------------------------+----------+
//      associated data: bytes 0..8
//
//      plaintext
//      0        1              3                           35                                    99
//      +--------+--------------+---------------------------+-------------------------------------+
//      |  type  | attempt (2)  |  ephemeral key (32)       |  signature (64)                     |
//      +--------+--------------+---------------------------+-------------------------------------+
//      type 1 opening          the opener's ephemeral, signature all zero
//      type 2 acceptance       the responder's ephemeral, its signature; attempt as in the opening it answers
//      type 3 acknowledgement  the opener's ephemeral again, its signature
//
// Data packet, 34 bytes longer than its body, at most 1,472 bytes (1,452 over IPv6):
//
//      0        1                 9                 17        18
//      +--------+-----------------+-----------------+---------+---------------------------+----------+
//      |  0xC3  |  tag (8)        |  counter (8)    |  kind   |  body (0..1438)           | MAC (16) |
//      +--------+-----------------+-----------------+---------+---------------------------+----------+
//      associated data: bytes 0..16             sealed: kind and body
//      nonce: 16 zero bytes, then the counter
//      kind 1 datagram  2 ping  3 pong (both with a 4-byte number)  4 close  5 close acknowledgement (both empty)
//           6 fragment of a datagram (fragments.ts)  7 MTU probe: a 4-byte number, then zeros  8 its answer: the number
//           9 challenge  10 its answer (both flags and an 8-byte random number: path-challenges.ts)
//           11 candidates (candidate-exchange.ts)  12 their acknowledgement: the 4-byte number
//
// All numbers are big-endian. The tag names the pair of sessions and is the same in both directions.

import { viewOf } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'

export const handshakeByte = 0xc2
export const dataByte = 0xc3
const tagBytes = 8
const handshakePacketBytes = 148
export const dataHeaderBytes = 17
export const macBytes = 16

export const dataOverheadBytes = dataHeaderBytes + 1 + macBytes
/** Body of the largest packet (mtu-discovery.ts). */
export const maxBodyBytes = 1472 - dataOverheadBytes
/** Larger than the largest UDP payload by what a forwarder may add. Larger than a packet means fragments. */
export const maxDatagramBytes = 65_535
/** Counters stay below this, so that they are exact as numbers. */
export const counterLimit = 2 ** 48

const handshakeTypes = { opening: 1, acceptance: 2, acknowledgement: 3 } as const
type HandshakeType = keyof typeof handshakeTypes

export const frameKinds = {
  datagram: 1,
  ping: 2,
  pong: 3,
  close: 4,
  closeAcknowledgement: 5,
  fragment: 6,
  probe: 7,
  probeAnswer: 8,
  challenge: 9,
  challengeAnswer: 10,
  candidates: 11,
  candidatesAcknowledgement: 12,
} as const

export type HandshakeMessage = {
  readonly type: HandshakeType
  /** 1..65535, one higher with each packet of the opener. */
  readonly attempt: number
  /** X25519 public key, 32 bytes. */
  readonly ephemeral: Uint8Array
  /** Ed25519, 64 bytes. */
  readonly signature: Uint8Array
}

export const noSignature: Uint8Array = new Uint8Array(64)

const prefixBytes = 1 + tagBytes
const nonceEnd = prefixBytes + 24
const plaintextBytes = 99

/** Whether `bytes` begins with this first byte and this tag. */
export function hasPrefix(bytes: Uint8Array, firstByte: number, tag: Uint8Array): boolean {
  if (bytes[0] !== firstByte || bytes.length < prefixBytes) return false
  for (let i = 0; i < tagBytes; i++) if (bytes[1 + i] !== tag[i]) return false
  return true
}

export function sealHandshake(
  crypto: Crypto,
  key: Uint8Array,
  tag: Uint8Array,
  message: HandshakeMessage,
): Uint8Array {
  const plaintext = new Uint8Array(plaintextBytes)
  plaintext[0] = handshakeTypes[message.type]
  viewOf(plaintext).setUint16(1, message.attempt)
  plaintext.set(message.ephemeral, 3)
  plaintext.set(message.signature, 35)
  const packet = new Uint8Array(handshakePacketBytes)
  packet[0] = handshakeByte
  packet.set(tag, 1)
  packet.set(crypto.randomBytes(24), prefixBytes)
  const nonce = packet.subarray(prefixBytes, nonceEnd)
  packet.set(crypto.encrypt(key, nonce, plaintext, packet.subarray(0, prefixBytes)), nonceEnd)
  return packet
}

/** Null for anything not sealed with this key for this tag. */
export function openHandshake(
  crypto: Crypto,
  key: Uint8Array,
  tag: Uint8Array,
  packet: Uint8Array,
): HandshakeMessage | null {
  if (packet.length !== handshakePacketBytes || !hasPrefix(packet, handshakeByte, tag)) return null
  const nonce = packet.subarray(prefixBytes, nonceEnd)
  const plaintext = crypto.decrypt(key, nonce, packet.subarray(nonceEnd), packet.subarray(0, prefixBytes))
  if (plaintext?.length !== plaintextBytes) return null
  const type = handshakeTypeOf(plaintext[0])
  const attempt = viewOf(plaintext).getUint16(1)
  if (type === null || attempt === 0) return null
  return { type, attempt, ephemeral: plaintext.slice(3, 35), signature: plaintext.slice(35) }
}

function handshakeTypeOf(byte: number | undefined): HandshakeType | null {
  switch (byte) {
    case handshakeTypes.opening:
      return 'opening'
    case handshakeTypes.acceptance:
      return 'acceptance'
    case handshakeTypes.acknowledgement:
      return 'acknowledgement'
    default:
      return null
  }
}
