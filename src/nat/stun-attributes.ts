// Values of STUN attributes, and the fingerprint.

import { decodeEndpoint, type Endpoint, encodeEndpoint } from '../base/endpoint.ts'

/** RFC 8489 §18.3 and RFC 5780 §7, plus two of RFC 3489 that old servers still send. */
export const attribute = {
  mappedAddress: 0x0001,
  changeRequest: 0x0003,
  sourceAddress: 0x0004,
  changedAddress: 0x0005,
  username: 0x0006,
  messageIntegrity: 0x0008,
  errorCode: 0x0009,
  unknownAttributes: 0x000a,
  realm: 0x0014,
  nonce: 0x0015,
  messageIntegritySha256: 0x001c,
  passwordAlgorithm: 0x001d,
  userhash: 0x001e,
  xorMappedAddress: 0x0020,
  responsePort: 0x0027,
  fingerprint: 0x8028,
  responseOrigin: 0x802b,
  otherAddress: 0x802c,
} as const

/**
 *   0        1        2                 4
 *   +--------+--------+-----------------+---------------------------+
 *   |   0    | family | port            | address, 4 or 16 bytes    |   family: 1 IPv4, 2 IPv6
 *   +--------+--------+-----------------+---------------------------+
 *
 * With a `mask` (magic cookie, then transaction ID) port and address are XORed with its beginning (RFC 8489 §14.2).
 */
export function encodeAddress(endpoint: Endpoint, mask?: Uint8Array): Uint8Array {
  const plain = encodeEndpoint(endpoint)
  const octets = plain.subarray(0, -2)
  const value = new Uint8Array(4 + octets.length)
  value[1] = octets.length === 4 ? 1 : 2
  value.set(plain.subarray(-2), 2)
  value.set(octets, 4)
  return mask ? masked(value, mask) : value
}

/** Null when the shape is wrong or the port is 0. */
export function decodeAddress(value: Uint8Array, mask?: Uint8Array): Endpoint | null {
  if (value.length !== (value[1] === 1 ? 8 : value[1] === 2 ? 20 : -1)) return null
  const plain = mask ? masked(value, mask) : value
  const bytes = new Uint8Array(value.length - 2)
  bytes.set(plain.subarray(4))
  bytes.set(plain.subarray(2, 4), value.length - 4)
  return decodeEndpoint(bytes)
}

function masked(value: Uint8Array, mask: Uint8Array): Uint8Array {
  const result = Uint8Array.from(value)
  for (let i = 2; i < value.length; i++) {
    // The port is masked with the cookie's upper half, the address with the mask from its start.
    result[i] = (value[i] as number) ^ (mask[i < 4 ? i - 2 : i - 4] as number)
  }
  return result
}

/** From where the answer must come: the server's other address, its other port, or both. */
export type Change = { readonly address: boolean; readonly port: boolean }

/** CHANGE-REQUEST (RFC 5780 §7.2): 32 bits; 4 means another address, 2 another port. */
export function encodeChange({ address, port }: Change): Uint8Array {
  return Uint8Array.of(0, 0, 0, (address ? 4 : 0) | (port ? 2 : 0))
}

export function decodeChange(value: Uint8Array): Change | null {
  if (value.length !== 4) return null
  const flags = value[3] as number
  return { address: (flags & 4) !== 0, port: (flags & 2) !== 0 }
}

/**
 * RESPONSE-PORT (RFC 5780 §7.5). Some implementations count two bytes of padding as value, so both lengths are
 * decoded. All of them accept two bytes.
 */
export function encodePort(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff)
}

export function decodePort(value: Uint8Array): number | null {
  if (value.length !== 2 && value.length !== 4) return null
  return ((value[0] as number) << 8) | (value[1] as number) || null
}

/** RFC 8489 §14.8: a class of 3..6 and a number of 0..99; the reason phrase is not kept. */
export function decodeErrorCode(value: Uint8Array): number | null {
  if (value.length < 4 || value.length > 4 + 763) return null
  const hundreds = (value[2] as number) & 7
  const rest = value[3] as number
  return hundreds < 3 || hundreds > 6 || rest > 99 ? null : hundreds * 100 + rest
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc >>> 0
})

/** FINGERPRINT (RFC 8489 §14.7): CRC-32 of the message before it, XORed with "STUN". */
export function fingerprintOf(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crcTable[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8)
  return (crc ^ 0xffffffff ^ 0x5354554e) >>> 0
}
