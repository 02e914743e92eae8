// Classifies the NAT from several servers' views of one socket (RFC 5780 §4.3, D1) and from the findings of
// further tests.

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

/** Findings that one round of requests from the main socket cannot give. Missing ones are unknown. */
export type Findings = {
  /** From one server with two addresses. */
  readonly mapping?: 'EIM' | 'ADM' | 'APDM' | null
  readonly filtering?: Filtering
  /** From sampled ports; never `preserving`. */
  readonly allocation?: Allocation | null
  readonly lifetimeMs?: number | null
  readonly hairpins?: boolean | null
}

export type NatView = {
  readonly profile: NatProfile
  /** Server-reflexive candidates: distinct, most frequent first; empty when all servers are silent. */
  readonly publicEndpoints: readonly Endpoint[]
  readonly observations: readonly Observation[]
  /**
   * Whether two computers behind this NAT reach each other at their public endpoints; missing while unknown.
   */
  readonly hairpins?: boolean
}

/**
 * `localEndpoints`: our own addresses with the socket's port. When both families were observed, the profile is
 * IPv4's: IPv6 rarely has a NAT, and it must not hide a hard IPv4 NAT.
 */
export function classify(
  observations: readonly Observation[],
  localEndpoints: readonly Endpoint[],
  {
    mapping: foundMapping = null,
    filtering = 'unknown',
    allocation = null,
    lifetimeMs,
    hairpins,
  }: Findings = {},
): NatView {
  const classified = ofClassifiedFamily(observations)
  const mapping = mappingOf(classified, localEndpoints, foundMapping)
  const keepsPorts = portsKept(classified, localEndpoints)
  const isHard = mapping !== 'none' && mapping !== 'EIM'
  return {
    profile: {
      mapping,
      filtering,
      allocation: keepsPorts ? { type: 'preserving' } : ((isHard ? allocation : null) ?? { type: 'unknown' }),
      ...(typeof lifetimeMs === 'number' && { lifetimeMs }),
    },
    publicEndpoints: byFrequency(observations),
    observations,
    ...(typeof hairpins === 'boolean' && { hairpins }),
  }
}

export function ofClassifiedFamily(observations: readonly Observation[]): readonly Observation[] {
  const four = observations.filter(({ mapped }) => familyOf(mapped.address) === 4)
  return four.length > 0 ? four : observations
}

/** Whether every server sees the port of our own socket. */
export function portsKept(
  observations: readonly Observation[],
  localEndpoints: readonly Endpoint[],
): boolean {
  const ports = new Set(localEndpoints.map(({ port }) => port))
  return observations.length > 0 && observations.every(({ mapped }) => ports.has(mapped.port))
}

/** Whether further answers could hardly change the mapping. */
export function isClear(observations: readonly Observation[], localEndpoints: readonly Endpoint[]): boolean {
  const classified = ofClassifiedFamily(observations)
  const mapping = mappingOf(classified, localEndpoints, null)
  return mapping === 'APDM' ? differsByPort(viewsByAddress(classified)) : mapping !== 'unknown'
}

function mappingOf(
  observations: readonly Observation[],
  localEndpoints: readonly Endpoint[],
  foundMapping: Findings['mapping'],
): Mapping {
  if (observations.length === 0) return 'unknown'
  const isOurs = (mapped: Endpoint) => localEndpoints.some((local) => equalEndpoints(local, mapped))
  if (observations.every(({ mapped }) => isOurs(mapped))) return 'none'

  const views = viewsByAddress(observations)
  if (differsByPort(views)) return 'APDM'
  // One server address cannot tell EIM from ADM.
  if (views.length < 2) return foundMapping ?? 'unknown'
  // A NAT with a mapping per address never gives two of them the same one. A server that disagrees with the
  // others is wrong, or is reached by another path. Between one and one, the second address of a server
  // decides.
  const maxAgreeing = Math.max(...countsOf(views.flat()).values())
  if (maxAgreeing * 2 > views.length || (foundMapping === 'EIM' && views.length === 2)) return 'EIM'
  if (foundMapping === 'ADM' || foundMapping === 'APDM') return foundMapping
  // Two ports of one address agree while addresses differ. Without such a pair of ports ADM and APDM look the
  // same. We then report the one that promises a peer less, so that no plan relies on too much.
  return observations.length > views.length ? 'ADM' : 'APDM'
}

/** The distinct endpoints that each server address sees. */
function viewsByAddress(observations: readonly Observation[]): Endpoint[][] {
  const byAddress = new Map<string, Endpoint[]>()
  for (const { server, mapped } of observations) {
    byAddress.set(server.address, distinctEndpoints([...(byAddress.get(server.address) ?? []), mapped]))
  }
  return [...byAddress.values()]
}

/** Whether two ports of one server address were given two mappings: only APDM does that. */
function differsByPort(views: readonly (readonly Endpoint[])[]): boolean {
  return views.some((endpoints) => endpoints.length > 1)
}

function byFrequency(observations: readonly Observation[]): Endpoint[] {
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
