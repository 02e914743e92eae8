// Our own addresses: the host candidates (RFC 8445 §5.1.1.1).

import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import {
  addressScope,
  distinctEndpoints,
  type Endpoint,
  type Family,
  familyOf,
  makeEndpoint,
} from '../base/endpoint.ts'

export type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>

export const maxHostEndpoints = 8

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
    return ofFamily(usable, familyOf(address)).map((own) => ({ address: own, port }))
  })
  return distinctEndpoints(endpoints).slice(0, maxHostEndpoints)
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}

function ofFamily(addresses: readonly string[], family: Family): string[] {
  return addresses.filter((address) => familyOf(address) === family)
}
