// What several servers' views of one socket say about the NAT between (RFC 5780 §4.3, D1), together with what a
// closer look has found.

import {
  distinctEndpoints,
  type Endpoint,
  equalEndpoints,
  familyOf,
  formatEndpoint,
} from '../base/endpoint.ts'
import type { Allocation, Filtering, Mapping, NatProfile } from '../base/nat-profile.ts'

/** One server's view of us. */
export type Observation = { readonly server: Endpoint; readonly mapped: Endpoint }

/** What one round of questions by the main socket cannot show; whatever is left out is not known. */
export type Findings = {
  /** By one server with two addresses. */
  readonly mapping?: 'EIM' | 'ADM' | 'APDM' | null
  readonly filtering?: Filtering
  /** By sampled ports; never `preserving`. */
  readonly allocation?: Allocation | null
  readonly lifetimeMs?: number | null
  readonly hairpins?: boolean | null
}

export type NatView = {
  readonly profile: NatProfile
  /** Server-reflexive candidates: distinct, those that most servers see first; empty when all servers are silent. */
  readonly publicEndpoints: readonly Endpoint[]
  readonly observations: readonly Observation[]
  /** Whether two behind this NAT reach each other at their public endpoints; left out while nobody knows. */
  readonly hairpins?: boolean
}

/**
 * `localEndpoints`: our own addresses with the socket's port. Where both families were observed, the
 * profile is IPv4's: IPv6 hardly knows NATs, and a hard NAT must not be hidden by it.
 */
export function classify(
  observations: readonly Observation[],
  localEndpoints: readonly Endpoint[],
  { mapping: found = null, filtering = 'unknown', allocation = null, lifetimeMs, hairpins }: Findings = {},
): NatView {
  const judged = ofJudgedFamily(observations)
  const mapping = mappingOf(judged, localEndpoints, found)
  const kept = portsKept(judged, localEndpoints)
  const isHard = mapping !== 'none' && mapping !== 'EIM'
  return {
    profile: {
      mapping,
      filtering,
      allocation: kept ? { type: 'preserving' } : ((isHard ? allocation : null) ?? { type: 'unknown' }),
      ...(typeof lifetimeMs === 'number' && { lifetimeMs }),
    },
    publicEndpoints: byVotes(observations),
    observations,
    ...(typeof hairpins === 'boolean' && { hairpins }),
  }
}

export function ofJudgedFamily(observations: readonly Observation[]): readonly Observation[] {
  const four = observations.filter(({ mapped }) => familyOf(mapped.address) === 4)
  return four.length > 0 ? four : observations
}

/** Every server sees the port that our socket has itself. */
export function portsKept(
  observations: readonly Observation[],
  localEndpoints: readonly Endpoint[],
): boolean {
  const ports = new Set(localEndpoints.map(({ port }) => port))
  return observations.length > 0 && observations.every(({ mapped }) => ports.has(mapped.port))
}

/** Whether further answers could hardly change the verdict on the mapping. */
export function isClear(observations: readonly Observation[], localEndpoints: readonly Endpoint[]): boolean {
  const judged = ofJudgedFamily(observations)
  const mapping = mappingOf(judged, localEndpoints, null)
  return mapping === 'APDM' ? isByPort(viewsByAddress(judged)) : mapping !== 'unknown'
}

function mappingOf(
  observations: readonly Observation[],
  localEndpoints: readonly Endpoint[],
  found: Findings['mapping'],
): Mapping {
  if (observations.length === 0) return 'unknown'
  const isOurs = (mapped: Endpoint) => localEndpoints.some((local) => equalEndpoints(local, mapped))
  if (observations.every(({ mapped }) => isOurs(mapped))) return 'none'

  const views = viewsByAddress(observations)
  if (isByPort(views)) return 'APDM'
  // One address alone cannot tell EIM from ADM.
  if (views.length < 2) return found ?? 'unknown'
  // No NAT that has a mapping for each address gives two of them the same: whoever says otherwise errs, or is reached
  // by another way. Between one and one the second address of a server decides.
  const mostAgreeing = Math.max(...countsOf(views.flat()).values())
  if (mostAgreeing * 2 > views.length || (found === 'EIM' && views.length === 2)) return 'EIM'
  if (found === 'ADM' || found === 'APDM') return found
  // Two ports of one address agree while addresses differ. Without such a pair of ports ADM and APDM look
  // the same; we then claim the one that promises a peer less, so that no plan counts on more than there is.
  return observations.length > views.length ? 'ADM' : 'APDM'
}

/** What each server address sees, distinct. */
function viewsByAddress(observations: readonly Observation[]): Endpoint[][] {
  const byAddress = new Map<string, Endpoint[]>()
  for (const { server, mapped } of observations) {
    byAddress.set(server.address, distinctEndpoints([...(byAddress.get(server.address) ?? []), mapped]))
  }
  return [...byAddress.values()]
}

/** Two ports of one server address were given two mappings: only the strictest kind does that. */
function isByPort(views: readonly (readonly Endpoint[])[]): boolean {
  return views.some((seen) => seen.length > 1)
}

function byVotes(observations: readonly Observation[]): Endpoint[] {
  const votes = countsOf(observations.map(({ mapped }) => mapped))
  const votesFor = (endpoint: Endpoint) => votes.get(formatEndpoint(endpoint)) ?? 0
  return distinctEndpoints(observations.map(({ mapped }) => mapped)).sort((a, b) => votesFor(b) - votesFor(a))
}

function countsOf(endpoints: readonly Endpoint[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const endpoint of endpoints) {
    const key = formatEndpoint(endpoint)
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}
