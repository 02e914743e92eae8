// The IP:PORT addresses to listen on, as written in options and settings: 192.0.2.1:3478, [2001:db8::1]:3478.

import { addressScope, type Endpoint, formatEndpoint, parseEndpoint } from '../base/endpoint.ts'

/** More than the eight that two addresses with two ports in both families need. */
export const maxListenAddresses = 16

/** Port 0 lets the system choose. Null for anything but IP:PORT. Names are refused: they may have several addresses. */
export function parseListenAddress(text: string): Endpoint | null {
  const [, address, anyPort] = /^(.*):(0{1,5})$/.exec(text) ?? []
  if (anyPort === undefined) return parseEndpoint(text)
  const endpoint = parseEndpoint(`${address}:1`)
  return endpoint && { ...endpoint, port: 0 }
}

export function isLoopbackAddress(text: string): boolean {
  const endpoint = parseListenAddress(text)
  return endpoint !== null && addressScope(endpoint.address) === 'loopback'
}

/** An address can be opened only once. Port 0 may be repeated, as it is another port each time. */
export function areDistinctAddresses(texts: readonly string[]): boolean {
  const fixed = texts.map(parseListenAddress).filter((endpoint) => endpoint !== null && endpoint.port !== 0)
  return new Set(fixed.map((endpoint) => endpoint && formatEndpoint(endpoint))).size === fixed.length
}
