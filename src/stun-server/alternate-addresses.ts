// The four endpoints of RFC 5780 §6: two addresses of one family, each with the same two ports.
//
//         A1:P1 ─── A2:P1
//           │         │        A request to A1:P1 with `Change` is answered from A2:P1 (address), A1:P2 (port)
//         A1:P2 ─── A2:P2      or A2:P2 (both). OTHER-ADDRESS names A2:P2.

import { distinctEndpoints, type Endpoint, equalEndpoints, type Family, familyOf } from '../base/endpoint.ts'
import type { Change } from '../nat/stun-attributes.ts'

export type AlternateAddresses = {
  readonly addresses: readonly [string, string]
  readonly ports: readonly [number, number]
}

export type EndpointPlan = {
  /** The endpoints to open: `listen`, then those that complete the four. */
  readonly endpoints: readonly Endpoint[]
  readonly alternates: ReadonlyMap<Family, AlternateAddresses>
}

/** A family has alternate addresses when its endpoints name exactly two addresses and two ports. */
export function planEndpoints(listen: readonly Endpoint[]): EndpointPlan {
  const alternates = new Map<Family, AlternateAddresses>()
  const endpoints = [...listen]
  for (const family of [4, 6] as const) {
    const found = alternatesAmong(listen.filter(({ address }) => familyOf(address) === family))
    if (!found) continue
    alternates.set(family, found)
    endpoints.push(
      ...endpointsOf(found).filter((endpoint) => !listen.some((listed) => equalEndpoints(listed, endpoint))),
    )
  }
  return { endpoints, alternates }
}

/** The endpoint that answers a request which came to `to` (RFC 5780 §6.1, table 1). */
export function changedEndpoint(
  { addresses, ports }: AlternateAddresses,
  to: Endpoint,
  change: Change,
): Endpoint {
  return {
    address: change.address ? otherOf(addresses, to.address) : to.address,
    port: change.port ? otherOf(ports, to.port) : to.port,
  }
}

export function endpointsOf({ addresses, ports }: AlternateAddresses): Endpoint[] {
  return addresses.flatMap((address) => ports.map((port) => ({ address, port })))
}

function otherOf<T>([first, second]: readonly [T, T], one: T): T {
  return one === first ? second : first
}

function alternatesAmong(listed: readonly Endpoint[]): AlternateAddresses | null {
  // A socket on all addresses, or on any port, does not say which endpoint an answer comes from.
  if (listed.some(({ address, port }) => isWildcard(address) || port === 0)) return null
  const endpoints = distinctEndpoints(listed)
  const [firstAddress, secondAddress, ...moreAddresses] = new Set(endpoints.map(({ address }) => address))
  const [firstPort, secondPort, ...morePorts] = new Set(endpoints.map(({ port }) => port))
  if (firstAddress === undefined || secondAddress === undefined || moreAddresses.length > 0) return null
  if (firstPort === undefined || secondPort === undefined || morePorts.length > 0) return null
  return { addresses: [firstAddress, secondAddress], ports: [firstPort, secondPort] }
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}
