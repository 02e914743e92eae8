// The four places of RFC 5780 §6: two addresses of one family, each with the same two ports.
//
//         A1:P1 ─── A2:P1
//           │         │        `Change` asks for the neighbour beside (address), below (port),
//         A1:P2 ─── A2:P2      or for the corner across, which is what OTHER-ADDRESS names

import { distinctEndpoints, type Endpoint, equalEndpoints, type Family, familyOf } from '../base/endpoint.ts'
import type { Change } from '../nat/stun-attributes.ts'

export type AlternateAddresses = {
  readonly addresses: readonly [string, string]
  readonly ports: readonly [number, number]
}

export type Layout = {
  /** What to open: `listen`, then the corners that complete a square. */
  readonly places: readonly Endpoint[]
  readonly squares: ReadonlyMap<Family, AlternateAddresses>
}

/** The places of a family make a square when they name exactly two addresses and two ports. */
export function layOut(listen: readonly Endpoint[]): Layout {
  const squares = new Map<Family, AlternateAddresses>()
  const places = [...listen]
  for (const family of [4, 6] as const) {
    const square = squareOf(listen.filter(({ address }) => familyOf(address) === family))
    if (!square) continue
    squares.set(family, square)
    places.push(
      ...cornersOf(square).filter((corner) => !listen.some((place) => equalEndpoints(place, corner))),
    )
  }
  return { places, squares }
}

/** Where the answer to a request that came to `corner` is sent from (RFC 5780 §6.1, table 1). */
export function moved({ addresses, ports }: AlternateAddresses, corner: Endpoint, change: Change): Endpoint {
  return {
    address: change.address ? theOther(addresses, corner.address) : corner.address,
    port: change.port ? theOther(ports, corner.port) : corner.port,
  }
}

export function cornersOf({ addresses, ports }: AlternateAddresses): Endpoint[] {
  return addresses.flatMap((address) => ports.map((port) => ({ address, port })))
}

function theOther<T>([first, second]: readonly [T, T], one: T): T {
  return one === first ? second : first
}

function squareOf(places: readonly Endpoint[]): AlternateAddresses | null {
  // From a socket on all addresses or on any port nobody knows beforehand what an answer would come from.
  if (places.some(({ address, port }) => isWildcard(address) || port === 0)) return null
  const endpoints = distinctEndpoints(places)
  const [firstAddress, secondAddress, ...moreAddresses] = new Set(endpoints.map(({ address }) => address))
  const [firstPort, secondPort, ...morePorts] = new Set(endpoints.map(({ port }) => port))
  if (firstAddress === undefined || secondAddress === undefined || moreAddresses.length > 0) return null
  if (firstPort === undefined || secondPort === undefined || morePorts.length > 0) return null
  return { addresses: [firstAddress, secondAddress], ports: [firstPort, secondPort] }
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}
