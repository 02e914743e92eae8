// Places of this computer to listen on, as people write them: 192.0.2.1:3478, [2001:db8::1]:3478.

import { addressScope, type Endpoint, formatEndpoint, parseEndpoint } from '../base/endpoint.ts'

/** Two addresses with two ports in each family, and some more. */
export const maxPlaces = 16

/** Port 0 lets the system choose. Null for anything but IP:PORT; a name could mean several addresses. */
export function parsePlace(text: string): Endpoint | null {
  const [, address, anyPort] = /^(.*):(0{1,5})$/.exec(text) ?? []
  if (anyPort === undefined) return parseEndpoint(text)
  const place = parseEndpoint(`${address}:1`)
  return place && { ...place, port: 0 }
}

/** A place that only this computer reaches. */
export function isLoopbackPlace(text: string): boolean {
  const place = parsePlace(text)
  return place !== null && addressScope(place.address) === 'loopback'
}

/** Each place can be had once only; port 0 is another port each time. */
export function areDistinctPlaces(texts: readonly string[]): boolean {
  const fixed = texts.map(parsePlace).filter((place) => place !== null && place.port !== 0)
  return new Set(fixed.map((place) => place && formatEndpoint(place))).size === fixed.length
}
