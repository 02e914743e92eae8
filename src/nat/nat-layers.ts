// How many NATs there are between us and the world: a fact for the person, who can do something about one's own router
// but nothing about the provider's.

import { addressScope, type Endpoint, familyOf } from '../base/endpoint.ts'

/**
 * `none`, `one`: also the first is ours to set up. `double`: another one of ours, or the provider's, stands before the
 * router. `carrier`: the provider's for certain (RFC 6598). `unknown`: there is at least one.
 */
export type Layers = 'none' | 'one' | 'double' | 'carrier' | 'unknown'

type NatLayers = {
  readonly localEndpoints: readonly Endpoint[]
  /** As servers see us; IPv4 counts. */
  readonly publicEndpoints: readonly Endpoint[]
  /** What the first router says its own outer address is, where it was asked and knows (PCP, UPnP). */
  readonly routerAddress: string | null
}

export function layersOf({ localEndpoints, publicEndpoints, routerAddress }: NatLayers): Layers {
  const local = addressesOf(localEndpoints)
  const seen = addressesOf(publicEndpoints)
  if (seen.length === 0) return 'unknown'
  if (seen.every((address) => local.includes(address))) return 'none'
  // An address of a provider's network on the computer itself: a mobile network, or a router that only bridges. Among
  // others it may be that of a private network, which use the same range.
  if (local.length > 0 && local.every((address) => addressScope(address) === 'shared')) return 'carrier'
  if (routerAddress === null) return 'unknown'
  if (seen.includes(routerAddress)) return 'one'
  return addressScope(routerAddress) === 'shared' ? 'carrier' : 'double'
}

/** Whether those who see us there are outside: a server in the same house, or the same private network, sees another
 *  address than the Internet does. */
export function isSeenFromOutside(publicEndpoints: readonly Endpoint[]): boolean {
  return publicEndpoints.some(({ address }) => addressScope(address) === 'public')
}

function addressesOf(endpoints: readonly Endpoint[]): string[] {
  return endpoints.map(({ address }) => address).filter((address) => familyOf(address) === 4)
}
