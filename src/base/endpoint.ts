// An ip:port as every room speaks of it, in text and in bytes.

import ipaddr from 'ipaddr.js'
import { toHex } from './bytes.ts'

export type Family = 4 | 6

/** `address` is canonical text (RFC 5952 for IPv6, no zone, IPv4-mapped addresses as IPv4). */
export type Endpoint = { readonly address: string; readonly port: number }

/** RFC 8445 candidate types, in its terms; `port-mapped` and `predicted` are ours. */
export type CandidateKind = 'host' | 'server-reflexive' | 'peer-reflexive' | 'port-mapped' | 'predicted'

export type Candidate = { readonly kind: CandidateKind; readonly endpoint: Endpoint }

/** Null unless `address` is an IP address and `port` is in 1..65535. */
export function makeEndpoint(address: string, port: number): Endpoint | null {
  if (!Number.isInteger(port) || port < 1 || port > 65535) return null
  const canonical = canonicalAddress(address)
  return canonical === null ? null : { address: canonical, port }
}

export function canonicalAddress(address: string): string | null {
  if (address.length > 45) return null
  if (ipaddr.IPv4.isValidFourPartDecimal(address)) return ipaddr.IPv4.parse(address).toString()
  if (!address.includes(':') || !ipaddr.IPv6.isValid(address)) return null
  const parsed = ipaddr.IPv6.parse(address)
  if (parsed.zoneId) return null
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed.toRFC5952String()
}

export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4
}

export function formatEndpoint({ address, port }: Endpoint): string {
  return familyOf(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`
}

/** Reads `1.2.3.4:5` and `[::1]:5`; null for anything else. */
export function parseEndpoint(text: string): Endpoint | null {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text)
  if (!match) return null
  return makeEndpoint(match[1] ?? match[2] ?? '', Number(match[3]))
}

export function equalEndpoints(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.address === b.address
}

/** 6 bytes for IPv4, 18 for IPv6: address then port, both in network order. */
export function encodeEndpoint({ address, port }: Endpoint): Uint8Array {
  const octets = ipaddr.parse(address).toByteArray()
  return Uint8Array.from([...octets, port >> 8, port & 0xff])
}

/** Null unless exactly 6 or 18 bytes with a port above 0. */
export function decodeEndpoint(bytes: Uint8Array): Endpoint | null {
  if (bytes.length !== 6 && bytes.length !== 18) return null
  const octets = bytes.subarray(0, -2)
  const port = ((bytes.at(-2) as number) << 8) | (bytes.at(-1) as number)
  if (port === 0) return null
  // Not through text and back, since a reply carries dozens of these.
  if (octets.length === 4) return { address: octets.join('.'), port }
  const parsed = new ipaddr.IPv6([...octets])
  const address = parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed.toRFC5952String()
  return { address, port }
}

const benchmarking = ipaddr.parse('198.18.0.0')

/** What sort of place an address is; decides what may be offered to whom (B6). */
export function addressScope(
  address: string,
): 'public' | 'private' | 'shared' | 'loopback' | 'link-local' | 'unusable' {
  const parsed = ipaddr.parse(address)
  // RFC 2544: networks under test, where these are what public addresses are elsewhere.
  if (parsed.kind() === 'ipv4' && parsed.match(benchmarking, 15)) return 'public'
  switch (parsed.range()) {
    case 'unicast':
    case '6to4':
    case 'teredo':
      return 'public'
    case 'private':
    case 'uniqueLocal':
      return 'private'
    case 'carrierGradeNat':
      return 'shared'
    case 'loopback':
      return 'loopback'
    case 'linkLocal':
      return 'link-local'
    default:
      return 'unusable'
  }
}

/** Whether two addresses of one family share their first bits: `prefix[4]` or `prefix[6]` of them (B2). */
export function sharePrefix(a: string, b: string, prefix: Readonly<Record<Family, number>>): boolean {
  const family = familyOf(a)
  if (family !== familyOf(b)) return false
  // Both are canonical text.
  if (prefix[family] === (family === 4 ? 32 : 128)) return a === b
  return ipaddr.parse(a).match(ipaddr.parse(b), prefix[family])
}

/** What one customer of a provider has: an IPv4 address, or an IPv6 /64. */
export function customerOf(endpoint: Endpoint): string {
  return familyOf(endpoint.address) === 4 ? endpoint.address : toHex(encodeEndpoint(endpoint).subarray(0, 8))
}

/** Keeps the first of equal ones, and their order. */
export function distinctEndpoints(endpoints: readonly Endpoint[]): Endpoint[] {
  return [...new Map(endpoints.map((endpoint) => [formatEndpoint(endpoint), endpoint])).values()]
}
