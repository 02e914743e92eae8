// What several servers' views of one socket say about the NAT between (RFC 5780 §4.3, mission D1).

import { distinctEndpoints, type Endpoint, equalEndpoints, familyOf } from '../base/endpoint.ts'
import type { Allocation, Mapping, NatProfile } from '../base/nat-profile.ts'

/** One server's view of us. */
export type Observation = { readonly server: Endpoint; readonly mapped: Endpoint }

export type NatView = {
  readonly profile: NatProfile
  /** Server-reflexive candidates: distinct, in the order of the servers; empty when all servers are silent. */
  readonly publicEndpoints: readonly Endpoint[]
  readonly observations: readonly Observation[]
}

/**
 * `localEndpoints`: our own addresses with the socket's port. Where both families were observed, the
 * profile is IPv4's: IPv6 hardly knows NATs, and a hard NAT must not be hidden by it.
 */
export function classify(observations: readonly Observation[], localEndpoints: readonly Endpoint[]): NatView {
  const four = observations.filter(({ mapped }) => familyOf(mapped.address) === 4)
  const judged = four.length > 0 ? four : observations
  return {
    profile: {
      mapping: mappingOf(judged, localEndpoints),
      // Needs answers from a place we did not ask (RFC 5780 §4.4).
      filtering: 'unknown',
      allocation: allocationOf(judged, localEndpoints),
    },
    publicEndpoints: distinctEndpoints(observations.map(({ mapped }) => mapped)),
    observations,
  }
}

function mappingOf(observations: readonly Observation[], localEndpoints: readonly Endpoint[]): Mapping {
  if (observations.length === 0) return 'unknown'
  const isOurs = (mapped: Endpoint) => localEndpoints.some((local) => equalEndpoints(local, mapped))
  if (observations.every(({ mapped }) => isOurs(mapped))) return 'none'

  const byAddress = new Map<string, Endpoint[]>()
  for (const { server, mapped } of observations) {
    byAddress.set(server.address, distinctEndpoints([...(byAddress.get(server.address) ?? []), mapped]))
  }
  const views = [...byAddress.values()]
  // Two ports of one server address were given two mappings: only the strictest kind does that.
  if (views.some((seen) => seen.length > 1)) return 'APDM'
  // One address alone cannot tell EIM from ADM.
  if (byAddress.size < 2) return 'unknown'
  if (distinctEndpoints(views.flat()).length === 1) return 'EIM'
  // Two ports of one address agree while addresses differ. Without such a pair of ports ADM and APDM look
  // the same; we then claim the one that promises a peer less, so that no plan counts on more than there is.
  return observations.length > byAddress.size ? 'ADM' : 'APDM'
}

/** Other kinds of allocation need more samples than two or three servers give. */
function allocationOf(observations: readonly Observation[], localEndpoints: readonly Endpoint[]): Allocation {
  const localPorts = new Set(localEndpoints.map(({ port }) => port))
  const kept = observations.length > 0 && observations.every(({ mapped }) => localPorts.has(mapped.port))
  return { type: kept ? 'preserving' : 'unknown' }
}
