// How many NATs lie between us and the Internet. Users can change their own router, but not the provider's.

import { addressScope, type Endpoint, familyOf } from '../base/endpoint.ts'

/**
 * `none`, `one`: the user can configure the router. `double`: another router of the user, or the provider's
 * NAT, lies beyond it. `carrier`: certainly the provider's NAT (RFC 6598). `unknown`: at least one.
 */
export type Layers = 'none' | 'one' | 'double' | 'carrier' | 'unknown'

type NatLayers = {
  readonly localEndpoints: readonly Endpoint[]
  /** Our endpoints as servers see them; only IPv4 counts. */
  readonly publicEndpoints: readonly Endpoint[]
  /** The first router's own outer address, if it was asked and answered (PCP, UPnP). */
  readonly routerAddress: string | null
}

export function layersOf({ localEndpoints, publicEndpoints, routerAddress }: NatLayers): Layers {
  const local = addressesOf(localEndpoints)
  const seen = addressesOf(publicEndpoints)
  if (seen.length === 0) return 'unknown'
  if (seen.every((address) => local.includes(address))) return 'none'
  // The computer itself has an address of a provider's network: a mobile network, or a router that only
  // bridges. Beside other addresses it may belong to a VPN, because some VPNs use the same range.
  if (local.length > 0 && local.every((address) => addressScope(address) === 'shared')) return 'carrier'
  if (routerAddress === null) return 'unknown'
  if (seen.includes(routerAddress)) return 'one'
  return addressScope(routerAddress) === 'shared' ? 'carrier' : 'double'
}

/**
 * Whether these servers are outside: a server in the same house or the same VPN sees another address than the
 * Internet does.
 */
export function isSeenFromOutside(publicEndpoints: readonly Endpoint[]): boolean {
  return publicEndpoints.some(({ address }) => addressScope(address) === 'public')
}

function addressesOf(endpoints: readonly Endpoint[]): string[] {
  return endpoints.map(({ address }) => address).filter((address) => familyOf(address) === 4)
}
