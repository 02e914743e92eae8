// An IP address with a port: parsing, formatting, encoding and comparing.

import ipaddr from 'ipaddr.js'
import { toHex } from './bytes.ts'

export type Family = 4 | 6

/** `address` is canonical text: RFC 5952 for IPv6, without a zone. IPv4-mapped addresses are written as IPv4. */
export type Endpoint = { readonly address: string; readonly port: number }

/** Candidate types of RFC 8445, and two of ours: `port-mapped` and `predicted`. */
export type CandidateKind = 'host' | 'server-reflexive' | 'peer-reflexive' | 'port-mapped' | 'predicted'

export type Candidate = { readonly kind: CandidateKind; readonly endpoint: Endpoint }

/** Null unless `address` is an IP address and `port` is in 1..65535. */
export function makeEndpoint(address: string, port: number): Endpoint | null {
  if (!Number.isInteger(port) || port < 1 || port > 65535) return null
  const canonical = canonicalAddress(address)
  return canonical === null ? null : { address: canonical, port }
}

/** Null when the text is not an IP address, or has a zone. */
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

/** Reads `1.2.3.4:5` and `[::1]:5`. Null for anything else. */
export function parseEndpoint(text: string): Endpoint | null {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text)
  if (!match) return null
  return makeEndpoint(match[1] ?? match[2] ?? '', Number(match[3]))
}

export function equalEndpoints(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.address === b.address
}

/** 6 bytes for IPv4, 18 for IPv6: the address, then the port, both in network byte order. */
export function encodeEndpoint({ address, port }: Endpoint): Uint8Array {
  const octets = ipaddr.parse(address).toByteArray()
  return Uint8Array.from([...octets, port >> 8, port & 0xff])
}

/** Null unless there are exactly 6 or 18 bytes and the port is above 0. */
export function decodeEndpoint(bytes: Uint8Array): Endpoint | null {
  if (bytes.length !== 6 && bytes.length !== 18) return null
  const octets = bytes.subarray(0, -2)
  const port = ((bytes.at(-2) as number) << 8) | (bytes.at(-1) as number)
  if (port === 0) return null
  // Formatting by hand is faster than ipaddr.js; a reply carries dozens of endpoints.
  if (octets.length === 4) return { address: octets.join('.'), port }
  const parsed = new ipaddr.IPv6([...octets])
  const address = parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed.toRFC5952String()
  return { address, port }
}

const benchmarking = ipaddr.parse('198.18.0.0')

/** Where the address is reachable from. It decides which peers an address may be shown to (B6). */
export function addressScope(
  address: string,
): 'public' | 'private' | 'shared' | 'loopback' | 'link-local' | 'unusable' {
  const parsed = ipaddr.parse(address)
  // RFC 2544 reserves 198.18.0.0/15 for test networks. There these addresses play the part of public ones.
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

/** Whether two addresses are of one family and share the first `prefix[4]` or `prefix[6]` bits (B2). */
export function sharePrefix(a: string, b: string, prefix: Readonly<Record<Family, number>>): boolean {
  const family = familyOf(a)
  if (family !== familyOf(b)) return false
  // Both are canonical text, so equal addresses are equal strings.
  if (prefix[family] === (family === 4 ? 32 : 128)) return a === b
  return ipaddr.parse(a).match(ipaddr.parse(b), prefix[family])
}

/** A key for the address range that a provider gives to one customer: an IPv4 address, or an IPv6 /64. */
export function customerOf(endpoint: Endpoint): string {
  return familyOf(endpoint.address) === 4 ? endpoint.address : toHex(encodeEndpoint(endpoint).subarray(0, 8))
}

/** Removes duplicates and keeps the order. */
export function distinctEndpoints(endpoints: readonly Endpoint[]): Endpoint[] {
  return [...new Map(endpoints.map((endpoint) => [formatEndpoint(endpoint), endpoint])).values()]
}
