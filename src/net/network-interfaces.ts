// The addresses of our interfaces: the host candidates (RFC 8445 §5.1.1.1).

import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { addressScope, distinctEndpoints, type Endpoint, familyOf, makeEndpoint } from '../base/endpoint.ts'

export type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>

const maxHostEndpoints = 8
/**
 * Most IPv6 addresses of each scope. A computer has several in each network, and all of them lead to the same
 * place.
 */
const maxIpv6PerScope = 2
/** An address built from the MAC address, which identifies the computer in every network (RFC 8981 §1.2). */
const fromMacAddress = /ff:fe[0-9a-f]{2}:[0-9a-f]{1,4}$/

/**
 * Bridges of containers and virtual machines: many computers have the same few addresses there, and nobody
 * outside can reach them.
 */
const virtualBridge = /^(docker|br-|veth|virbr|vmnet|vboxnet|vnic|lxcbr|lxdbr|cni|flannel|podman|vEthernet)/i

/**
 * Our endpoints on the local networks. `sockets`: as bound; one bound to all addresses counts for every
 * interface. Loopback and virtual bridges are used only when there is nothing else.
 */
export function hostEndpoints(
  sockets: readonly Endpoint[],
  interfaces: Interfaces = networkInterfaces(),
): Endpoint[] {
  const physical: string[] = []
  const bridged: string[] = []
  const loopback: string[] = []
  for (const [name, addresses] of Object.entries(interfaces)) {
    for (const { address, internal } of addresses ?? []) {
      const canonical = makeEndpoint(address, 1)?.address
      if (canonical === undefined) continue
      const scope = addressScope(canonical)
      if (internal || scope === 'loopback') loopback.push(canonical)
      else if (scope === 'link-local' || scope === 'unusable') continue
      else (virtualBridge.test(name) ? bridged : physical).push(canonical)
    }
  }
  const usable = [physical, bridged, loopback].find((group) => group.length > 0) ?? []
  const endpoints = sockets.flatMap(({ address, port }) => {
    if (!isWildcard(address)) return [{ address, port }]
    const family = familyOf(address)
    const ofFamily = usable.filter((own) => familyOf(own) === family)
    const chosen = family === 6 ? selectIpv6(ofFamily) : ofFamily
    return chosen.map((own) => ({ address: own, port }))
  })
  const distinct = distinctEndpoints(endpoints)
  const ipv6Endpoints = distinct.filter(({ address }) => familyOf(address) === 6).slice(0, maxHostEndpoints)
  const ipv4Endpoints = distinct.filter(({ address }) => familyOf(address) === 4)
  return [...ipv4Endpoints.slice(0, maxHostEndpoints - ipv6Endpoints.length), ...ipv6Endpoints]
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}

/**
 * Node does not report which addresses are temporary (RFC 8981). Those built from the MAC address are
 * recognised by their form and come last. When STUN answers over IPv6, the address that the system prefers is a
 * candidate anyway.
 */
function selectIpv6(addresses: readonly string[]): string[] {
  const sorted = [...addresses].sort(
    (a, b) => Number(fromMacAddress.test(a)) - Number(fromMacAddress.test(b)),
  )
  const ofScope = (...scopes: string[]) =>
    sorted.filter((address) => scopes.includes(addressScope(address))).slice(0, maxIpv6PerScope)
  return [...ofScope('public'), ...ofScope('private', 'shared', 'loopback')]
}
