// STUN Binding messages as bytes (RFC 8489), as far as finding the own address needs them.
//
//   0                 2                 4                                20
//   +-----------------+-----------------+------------------+-------------+----------------
//   | type            | length of the   | magic cookie     | transaction | attributes: type (2), length (2),
//   |                 | attributes      | 0x2112A442       | ID (12)     | value, padded to 4 bytes
//   +-----------------+-----------------+------------------+-------------+----------------

import { concatBytes, viewOf } from '../base/bytes.ts'
import type { Endpoint } from '../base/endpoint.ts'
import {
  attribute,
  type Change,
  decodeAddress,
  decodeChange,
  decodeErrorCode,
  decodePort,
  encodeAddress,
  encodeChange,
  encodePort,
  fingerprintOf,
} from './stun-attributes.ts'

export const transactionIdBytes = 12
export const stunHeaderBytes = 20
/** Default port of STUN servers (RFC 8489 §18.6). */
export const stunPort = 3478
/** The first byte of STUN is below this (RFC 7983 §7). */
export const firstByteAboveStun = 0x40
const cookie = 0x2112a442
/** Larger than any honest Binding message, smaller than any datagram that could be fragmented. */
export const maxStunBytes = 1280
const maxAttributes = 32

const typeOf = { request: 0x0001, success: 0x0101, error: 0x0111 } as const

export type StunRequest = {
  readonly type: 'request'
  readonly transactionId: Uint8Array
  /** Comprehension-required attributes that we do not know (RFC 8489 §6.3.1). */
  readonly unknownRequired: readonly number[]
} & ResponseOptions

/** Where the response must come from and go to (RFC 5780 §7). A server that cannot do so answers 420. */
export type ResponseOptions = {
  readonly change?: Change
  /** The response goes to our address at this port. */
  readonly responsePort?: number
}

export type StunSuccess = {
  readonly type: 'success'
  readonly transactionId: Uint8Array
  /** From XOR-MAPPED-ADDRESS, or from MAPPED-ADDRESS when the server knows only RFC 3489. */
  readonly mapped: Endpoint
  /** RFC 5780: the server's other address and port. */
  readonly otherAddress?: Endpoint
  readonly responseOrigin?: Endpoint
}

type StunError = { readonly type: 'error'; readonly transactionId: Uint8Array; readonly code: number }

export type StunMessage = StunRequest | StunSuccess | StunError

type StunFault =
  | 'not-stun'
  | 'too-big'
  | 'unknown-type'
  | 'bad-length'
  | 'bad-attribute'
  | 'too-many-attributes'
  | 'unknown-required'
  | 'bad-fingerprint'
  | 'missing-attribute'

type StunDecoding =
  | { readonly ok: true; readonly message: StunMessage }
  | { readonly ok: false; readonly fault: StunFault }

/**
 * Whether a datagram is STUN and not another packet on the same socket (RFC 8489 §6.3: two zero bits, cookie).
 */
export function isStun(bytes: Uint8Array): boolean {
  return bytes.length >= stunHeaderBytes && mayBeStun(bytes)
}

/** Whether a STUN message may start with these bytes, at least one. */
export function mayBeStun(start: Uint8Array): boolean {
  return (
    (start[0] as number) < firstByteAboveStun && (start.length < 8 || viewOf(start).getUint32(4) === cookie)
  )
}

/** A Binding request with FINGERPRINT, 28 to 44 bytes. */
export function encodeRequest(transactionId: Uint8Array, response: ResponseOptions = {}): Uint8Array {
  const attributes: Attribute[] = []
  if (response.change) attributes.push([attribute.changeRequest, encodeChange(response.change)])
  if (response.responsePort) attributes.push([attribute.responsePort, encodePort(response.responsePort)])
  attributes.push([attribute.fingerprint, new Uint8Array(4)])
  const message = encode(typeOf.request, transactionId, attributes)
  viewOf(message).setUint32(message.length - 4, fingerprintOf(message.subarray(0, -8)))
  return message
}

/**
 * A Binding success response: XOR-MAPPED-ADDRESS and, if given, the attributes of RFC 5780. `unmasked` adds
 * MAPPED-ADDRESS (RFC 5780 §6.1), so that a client can see whether a router rewrites packets.
 */
export function encodeSuccess(answer: Omit<StunSuccess, 'type'>, { unmasked = false } = {}): Uint8Array {
  const attributes: Attribute[] = [
    [attribute.xorMappedAddress, encodeAddress(answer.mapped, maskOf(answer.transactionId))],
  ]
  if (unmasked) attributes.push([attribute.mappedAddress, encodeAddress(answer.mapped)])
  if (answer.responseOrigin) {
    attributes.push([attribute.responseOrigin, encodeAddress(answer.responseOrigin)])
  }
  if (answer.otherAddress) attributes.push([attribute.otherAddress, encodeAddress(answer.otherAddress)])
  return encode(typeOf.success, answer.transactionId, attributes)
}

/** A Binding error response without a reason phrase. `unknown` belongs to code 420 (RFC 8489 §14.9). */
export function encodeError(
  transactionId: Uint8Array,
  code: number,
  unknown: readonly number[] = [],
): Uint8Array {
  const value = Uint8Array.of(0, 0, Math.floor(code / 100), code % 100)
  const attributes: Attribute[] = [[attribute.errorCode, value]]
  if (unknown.length > 0) {
    const list = Uint8Array.from(unknown.flatMap((type) => [type >> 8, type & 0xff]))
    attributes.push([attribute.unknownAttributes, list])
  }
  return encode(typeOf.error, transactionId, attributes)
}

type Attribute = readonly [type: number, value: Uint8Array]

function encode(type: number, transactionId: Uint8Array, attributes: readonly Attribute[]): Uint8Array {
  if (transactionId.length !== transactionIdBytes) throw new RangeError('a transaction ID has 12 bytes')
  const header = new Uint8Array(stunHeaderBytes)
  const parts = attributes.map(([attributeType, value]) => {
    const padded = new Uint8Array(4 + paddedLength(value.length))
    viewOf(padded).setUint16(0, attributeType)
    viewOf(padded).setUint16(2, value.length)
    padded.set(value, 4)
    return padded
  })
  const view = viewOf(header)
  view.setUint16(0, type)
  view.setUint16(
    2,
    parts.reduce((sum, part) => sum + part.length, 0),
  )
  view.setUint32(4, cookie)
  header.set(transactionId, 8)
  return concatBytes(header, ...parts)
}

/** Decodes a whole datagram; never throws. */
export function decodeStun(bytes: Uint8Array): StunDecoding {
  const fault = (name: StunFault): StunDecoding => ({ ok: false, fault: name })
  if (!isStun(bytes)) return fault('not-stun')
  if (bytes.length > maxStunBytes) return fault('too-big')
  const view = viewOf(bytes)
  const type = view.getUint16(0)
  const transactionId = bytes.slice(8, stunHeaderBytes)
  if (view.getUint16(2) !== bytes.length - stunHeaderBytes || bytes.length % 4 !== 0)
    return fault('bad-length')
  const attributes = readAttributes(bytes)
  if (typeof attributes === 'string') return fault(attributes)
  const { values, unknownRequired } = attributes

  if (type === typeOf.request) {
    const changeValue = values.get(attribute.changeRequest)
    const portValue = values.get(attribute.responsePort)
    const change = changeValue && decodeChange(changeValue)
    const responsePort = portValue && decodePort(portValue)
    if (change === null || responsePort === null) return fault('bad-attribute')
    const response = { ...(change && { change }), ...(responsePort && { responsePort }) }
    return { ok: true, message: { type: 'request', transactionId, unknownRequired, ...response } }
  }
  if (type !== typeOf.success && type !== typeOf.error) return fault('unknown-type')
  // Such a response is discarded (RFC 8489 §6.3.3, §6.3.4).
  if (unknownRequired.length > 0) return fault('unknown-required')

  if (type === typeOf.error) {
    const value = values.get(attribute.errorCode)
    if (!value) return fault('missing-attribute')
    const code = decodeErrorCode(value)
    return code === null
      ? fault('bad-attribute')
      : { ok: true, message: { type: 'error', transactionId, code } }
  }

  const xored = values.get(attribute.xorMappedAddress)
  const plain = values.get(attribute.mappedAddress)
  if (!xored && !plain) return fault('missing-attribute')
  const mapped = xored ? decodeAddress(xored, maskOf(transactionId)) : plain ? decodeAddress(plain) : null
  const origin = values.get(attribute.responseOrigin)
  const other = values.get(attribute.otherAddress)
  const responseOrigin = origin && decodeAddress(origin)
  const otherAddress = other && decodeAddress(other)
  if (!mapped || responseOrigin === null || otherAddress === null) return fault('bad-attribute')
  const message: StunSuccess = {
    type: 'success',
    transactionId,
    mapped,
    ...(responseOrigin && { responseOrigin }),
    ...(otherAddress && { otherAddress }),
  }
  return { ok: true, message }
}

/** Attributes we know, or can ignore because we use no credentials. */
const known: ReadonlySet<number> = new Set(Object.values(attribute))

function readAttributes(
  bytes: Uint8Array,
): { values: ReadonlyMap<number, Uint8Array>; unknownRequired: readonly number[] } | StunFault {
  const view = viewOf(bytes)
  const values = new Map<number, Uint8Array>()
  const unknownRequired = new Set<number>()
  let count = 0
  let isAfterIntegrity = false
  for (let at = stunHeaderBytes; at < bytes.length; ) {
    if (++count > maxAttributes) return 'too-many-attributes'
    const type = view.getUint16(at)
    const length = view.getUint16(at + 2)
    const end = at + 4 + paddedLength(length)
    if (end > bytes.length) return 'bad-attribute'
    const value = bytes.subarray(at + 4, at + 4 + length)
    if (type === attribute.fingerprint) {
      // It must be the last attribute (RFC 8489 §14.7).
      if (length !== 4 || end !== bytes.length) return 'bad-fingerprint'
      if (viewOf(value).getUint32(0) !== fingerprintOf(bytes.subarray(0, at))) return 'bad-fingerprint'
    } else if (!isAfterIntegrity) {
      // Of several attributes of one type the first counts (RFC 8489 §14).
      if (known.has(type)) {
        if (!values.has(type)) values.set(type, value)
      } else if (type < 0x8000) unknownRequired.add(type)
      // Attributes after the integrity check are ignored (RFC 8489 §14.5).
      isAfterIntegrity = type === attribute.messageIntegrity || type === attribute.messageIntegritySha256
    }
    at = end
  }
  return { values, unknownRequired: [...unknownRequired] }
}

function paddedLength(length: number): number {
  return (length + 3) & ~3
}

function maskOf(transactionId: Uint8Array): Uint8Array {
  const mask = new Uint8Array(4 + transactionIdBytes)
  viewOf(mask).setUint32(0, cookie)
  mask.set(transactionId, 4)
  return mask
}
