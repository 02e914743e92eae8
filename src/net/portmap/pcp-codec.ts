// The messages of PCP (RFC 6887) and of its predecessor NAT-PMP (RFC 6886), which share a port. PCP's MAP
// request has 60 bytes. The answer has the same form, with the fields in brackets:
//
//     0         1          2         4           8                      24
//     +---------+----------+---------+-----------+----------------------+
//     | 2       | 1 (0x81) | 0 [code]| lifetime s| client IP [epoch, 0] |
//     +---------+----------+---------+-----------+----------------------+
//     24        36         37        40          42                44   60
//     +---------+----------+---------+-----------+-----------------+----+
//     | nonce   | protocol | 0       | our port  | port outside    | IP |
//     +---------+----------+---------+-----------+-----------------+----+

import { equalBytes, viewOf } from '../../base/bytes.ts'
import { decodeEndpoint, type Endpoint, encodeEndpoint, familyOf } from '../../base/endpoint.ts'
import type { PortProtocol } from './gateway.ts'

export const pcpNonceBytes = 12
/** No PCP message is longer (RFC 6887 §7). */
export const maxPcpBytes = 1100
/** The router supports another version only (RFC 6886 §3.5, RFC 6887 §7.4). */
export const unsupportedVersion = 1

const mapOpcode = 1
const answerBit = 0x80
/** IANA's protocol numbers, and NAT-PMP's opcodes. */
const protocols = { UDP: { number: 17, natPmp: 1 }, TCP: { number: 6, natPmp: 2 } } as const

export type MapRequest = {
  readonly internalPort: number
  /** The wanted port; 0 for any. The router decides. */
  readonly externalPort: number
  /** 0 deletes the mapping. */
  readonly lifetimeS: number
}

export type PcpAnswer =
  | { readonly type: 'mapped'; readonly external: Endpoint; readonly lifetimeS: number }
  | { readonly type: 'refused'; readonly code: number }

export type NatPmpAnswer =
  | { readonly type: 'address'; readonly address: string }
  | { readonly type: 'mapped'; readonly externalPort: number; readonly lifetimeS: number }
  | { readonly type: 'refused'; readonly code: number }

/** `client`: the IPv4 source address of the request (RFC 6887 §8.1). */
export function encodePcpMap(
  request: MapRequest,
  client: string,
  nonce: Uint8Array,
  protocol: PortProtocol = 'UDP',
): Uint8Array {
  const bytes = new Uint8Array(60)
  const view = viewOf(bytes)
  view.setUint8(0, 2)
  view.setUint8(1, mapOpcode)
  view.setUint32(4, request.lifetimeS)
  bytes.set(mappedAddress(client), 8)
  bytes.set(nonce, 24)
  view.setUint8(36, protocols[protocol].number)
  view.setUint16(40, request.internalPort)
  view.setUint16(42, request.externalPort)
  bytes.set(mappedAddress('0.0.0.0'), 44)
  return bytes
}

/**
 * Null unless it answers this request. A mapping without port or address was deleted, so it counts as refused.
 */
export function decodePcpMap(
  bytes: Uint8Array,
  internalPort: number,
  nonce: Uint8Array,
  protocol: PortProtocol = 'UDP',
): PcpAnswer | null {
  if (bytes.length < 4 || bytes.length > maxPcpBytes) return null
  const view = viewOf(bytes)
  const [version, opcode] = [view.getUint8(0), view.getUint8(1)]
  const code = view.getUint8(3)
  // A NAT-PMP router answers in its own format, with the code in two bytes.
  if (version === 0 && opcode >= answerBit) {
    return view.getUint16(2) === unsupportedVersion ? { type: 'refused', code: unsupportedVersion } : null
  }
  if (opcode !== (answerBit | mapOpcode)) return null
  if (code === unsupportedVersion) return { type: 'refused', code }
  if (version !== 2 || bytes.length < 60) return null
  if (!equalBytes(bytes.subarray(24, 36), nonce)) return null
  if (view.getUint8(36) !== protocols[protocol].number || view.getUint16(40) !== internalPort) return null
  if (code !== 0) return { type: 'refused', code }
  const external = decodeEndpoint(Uint8Array.from([...bytes.subarray(44, 60), ...bytes.subarray(42, 44)]))
  const isUsable = external !== null && familyOf(external.address) === 4 && external.address !== '0.0.0.0'
  return isUsable ? { type: 'mapped', external, lifetimeS: view.getUint32(4) } : { type: 'refused', code: 0 }
}

export function encodeNatPmpAddress(): Uint8Array {
  return Uint8Array.of(0, 0)
}

/** RFC 6886 §3.3. To delete a mapping, the external port must be 0 (§3.4). */
export function encodeNatPmpMap(
  { internalPort, externalPort, lifetimeS }: MapRequest,
  protocol: PortProtocol = 'UDP',
): Uint8Array {
  const bytes = new Uint8Array(12)
  const view = viewOf(bytes)
  view.setUint8(1, protocols[protocol].natPmp)
  view.setUint16(4, internalPort)
  view.setUint16(6, externalPort)
  view.setUint32(8, lifetimeS)
  return bytes
}

/** Null unless it answers a request for the address, or for a mapping of `internalPort`. */
export function decodeNatPmp(
  bytes: Uint8Array,
  requested: 'address' | number,
  protocol: PortProtocol = 'UDP',
): NatPmpAnswer | null {
  if (bytes.length < 8 || bytes.length > maxPcpBytes) return null
  const view = viewOf(bytes)
  const opcode = requested === 'address' ? 0 : protocols[protocol].natPmp
  if (view.getUint8(0) !== 0 || view.getUint8(1) !== (answerBit | opcode)) return null
  const code = view.getUint16(2)
  if (code !== 0) return { type: 'refused', code }
  if (requested === 'address') {
    if (bytes.length < 12) return null
    const address = bytes.subarray(8, 12).join('.')
    return address === '0.0.0.0' ? { type: 'refused', code: 0 } : { type: 'address', address }
  }
  if (bytes.length < 16 || view.getUint16(8) !== requested) return null
  const externalPort = view.getUint16(10)
  if (externalPort === 0) return { type: 'refused', code: 0 }
  return { type: 'mapped', externalPort, lifetimeS: view.getUint32(12) }
}

/** ::ffff:a.b.c.d */
function mappedAddress(address: string): Uint8Array {
  const bytes = new Uint8Array(16)
  bytes.fill(0xff, 10, 12)
  bytes.set(encodeEndpoint({ address, port: 0 }).subarray(0, 4), 12)
  return bytes
}
