// Our own addresses: the host candidates (RFC 8445 §5.1.1.1).

import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { addressScope, distinctEndpoints, type Endpoint, familyOf, makeEndpoint } from '../base/endpoint.ts'

export type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>

const maxHostEndpoints = 8
/** Of each scope. A computer has several addresses in each IPv6 network, and all of them lead to the same place. */
const maxSixes = 2
/** Made of the MAC address, which follows the computer from network to network (RFC 8981 §1.2). */
const madeOfMac = /ff:fe[0-9a-f]{2}:[0-9a-f]{1,4}$/

/** Bridges of containers and virtual machines: the same few addresses on everybody's computer, reaching nobody. */
const virtualBridge = /^(docker|br-|veth|virbr|vmnet|vboxnet|vnic|lxcbr|lxdbr|cni|flannel|podman|vEthernet)/i

/**
 * Where our sockets can be reached on the networks we are part of. `sockets`: as bound; one bound to
 * all addresses counts for every interface. No loopback and no virtual bridge unless there is nothing else.
 */
export function hostEndpoints(
  sockets: readonly Endpoint[],
  interfaces: Interfaces = networkInterfaces(),
): Endpoint[] {
  const real: string[] = []
  const bridged: string[] = []
  const loopback: string[] = []
  for (const [name, addresses] of Object.entries(interfaces)) {
    for (const { address, internal } of addresses ?? []) {
      const canonical = makeEndpoint(address, 1)?.address
      if (canonical === undefined) continue
      const scope = addressScope(canonical)
      if (internal || scope === 'loopback') loopback.push(canonical)
      else if (scope === 'link-local' || scope === 'unusable') continue
      else (virtualBridge.test(name) ? bridged : real).push(canonical)
    }
  }
  const usable = [real, bridged, loopback].find((group) => group.length > 0) ?? []
  const endpoints = sockets.flatMap(({ address, port }) => {
    if (!isWildcard(address)) return [{ address, port }]
    const family = familyOf(address)
    const ofFamily = usable.filter((own) => familyOf(own) === family)
    const chosen = family === 6 ? fewSixes(ofFamily) : ofFamily
    return chosen.map((own) => ({ address: own, port }))
  })
  const distinct = distinctEndpoints(endpoints)
  const sixes = distinct.filter(({ address }) => familyOf(address) === 6).slice(0, maxHostEndpoints)
  const fours = distinct.filter(({ address }) => familyOf(address) === 4)
  return [...fours.slice(0, maxHostEndpoints - sixes.length), ...sixes]
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}

/**
 * Node does not say which addresses are temporary (RFC 8981); those made of the MAC address are told by their looks
 * and come last. Where STUN answers over IPv6, the address the system prefers is a candidate of its own anyway.
 */
function fewSixes(addresses: readonly string[]): string[] {
  const sorted = [...addresses].sort((a, b) => Number(madeOfMac.test(a)) - Number(madeOfMac.test(b)))
  const ofScope = (...scopes: string[]) =>
    sorted.filter((address) => scopes.includes(addressScope(address))).slice(0, maxSixes)
  return [...ofScope('public'), ...ofScope('private', 'shared', 'loopback')]
}
