// Where a linked peer may be reached beside the present path, and which of our candidates it may hear.

import {
  addressScope,
  type Candidate,
  type Endpoint,
  equalEndpoints,
  formatEndpoint,
} from '../../base/endpoint.ts'
import type { NatProfile } from '../../base/nat-profile.ts'
import { isConnection } from '../../base/protocol-machine.ts'
import type { OfferedPeer } from '../../letter/letter-types.ts'
import type { CandidatePath } from '../../link/candidate-paths.ts'
import { keepaliveIntervalMs } from '../../nat/keepalive-interval.ts'
import { isLan, isUsable, lowestRank, maxHostTargets, maxTargets, rankOf } from '../../punch/check-targets.ts'
import type { Path } from '../../punch/connectivity-checks.ts'

/** A link pings at least so often, however long the NATs remember. */
const mostKeepaliveMs = 8_000
const leastKeepaliveMs = 2_000

type KnownPeer = Pick<OfferedPeer, 'sameNat'> & { readonly candidates: readonly Candidate[] }

/** Best first; by the same rules as the targets of an attempt, since candidates may name anybody's addresses. */
export function candidatePathsTo(
  { candidates, sameNat }: KnownPeer,
  onLoopback: boolean,
): readonly CandidatePath[] {
  let hosts = 0
  return candidates
    .filter(({ endpoint }) => isUsable(endpoint, onLoopback))
    .filter(({ kind }) => kind !== 'host' || ++hosts <= maxHostTargets)
    .map((candidate): CandidatePath => ({ endpoint: candidate.endpoint, rank: rankOf(candidate, sameNat) }))
    .sort((a, b) => b.rank - a.rank)
    .slice(0, maxTargets)
}

/** Below every path by UDP: what TCP repeats comes late, and holds up what came after it. */
const connectionRank = lowestRank - 1

export function rankOfPath({ kind, remote, candidateKind, via }: Path): number {
  if (isConnection(via)) return connectionRank
  return rankOf({ kind: kind === 'lan' ? 'host' : candidateKind, endpoint: remote }, kind === 'lan')
}

/** The path for the event, when the link has moved to `remote`. */
export function movedPath(before: Path, peer: KnownPeer, remote: Endpoint, via: number): Path {
  const candidate = peer.candidates.find(({ endpoint }) => equalEndpoints(endpoint, remote)) ?? {
    kind: 'peer-reflexive',
    endpoint: remote,
  }
  const kind = isLan(candidate, peer.sameNat) ? 'lan' : 'direct'
  return { kind, remote, local: before.local, candidateKind: candidate.kind, via }
}

/** Addresses inside our LAN are for those in it: behind the same NAT, by the host's judgement or as both see it now (B6). */
export function shareable(
  own: readonly Candidate[],
  peer: KnownPeer,
  onLoopback: boolean,
): readonly Candidate[] {
  const isOutside = ({ kind, endpoint }: Candidate) =>
    kind !== 'host' && addressScope(endpoint.address) === 'public' && !endpoint.address.includes(':')
  const isShared = own
    .filter(isOutside)
    .some((mine) => peer.candidates.some((theirs) => isOutside(theirs) && sameAddress(mine, theirs)))
  const mayHear = peer.sameNat || onLoopback || isShared
  return own.filter(
    ({ kind, endpoint }) => mayHear || kind !== 'host' || addressScope(endpoint.address) === 'public',
  )
}

/** Equal for equal lists. */
export function listText(candidates: readonly Candidate[]): string {
  return candidates.map(({ kind, endpoint }) => `${kind} ${formatEndpoint(endpoint)}`).join()
}

/** How often a link pings, at least. */
export function linkKeepaliveMs(nats: readonly NatProfile[], configuredMs: number): number {
  const lifetimes = nats.flatMap(({ lifetimeMs }) => (lifetimeMs === undefined ? [] : [lifetimeMs]))
  const shortest = lifetimes.length > 0 ? Math.min(...lifetimes) : null
  const mostMs = Math.max(leastKeepaliveMs, Math.min(mostKeepaliveMs, configuredMs))
  return keepaliveIntervalMs(shortest, { leastMs: leastKeepaliveMs, mostMs })
}

function sameAddress(a: Candidate, b: Candidate): boolean {
  return a.endpoint.address === b.endpoint.address
}
