// The candidate paths to a linked peer, and the candidates of ours that we announce to it.

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

/** The longest interval between pings, even when the NAT mappings last longer. */
const maxKeepaliveMs = 8_000
const minKeepaliveMs = 2_000

type KnownPeer = Pick<OfferedPeer, 'sameNat'> & { readonly candidates: readonly Candidate[] }

/** Best first. Filtered like the targets of a punch attempt, since a peer can announce any address. */
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

/** Below every UDP path, because TCP retransmissions are late and block the data behind them. */
const connectionRank = lowestRank - 1

export function rankOfPath({ kind, remote, candidateKind, via }: Path): number {
  if (isConnection(via)) return connectionRank
  return rankOf({ kind: kind === 'lan' ? 'host' : candidateKind, endpoint: remote }, kind === 'lan')
}

/** The path for the event after the link has moved to `remote`. */
export function movedPath(before: Path, peer: KnownPeer, remote: Endpoint, via: number): Path {
  const candidate = peer.candidates.find(({ endpoint }) => equalEndpoints(endpoint, remote)) ?? {
    kind: 'peer-reflexive',
    endpoint: remote,
  }
  const kind = isLan(candidate, peer.sameNat) ? 'lan' : 'direct'
  return { kind, remote, local: before.local, candidateKind: candidate.kind, via }
}

/** Leaves out the private addresses of our LAN unless the peer is in it: behind the same NAT as the host saw it, or as
 *  both sides' public addresses show now (B6). */
export function candidatesFor(
  own: readonly Candidate[],
  peer: KnownPeer,
  onLoopback: boolean,
): readonly Candidate[] {
  const isOutside = ({ kind, endpoint }: Candidate) =>
    kind !== 'host' && addressScope(endpoint.address) === 'public' && !endpoint.address.includes(':')
  const sharesPublicAddress = own
    .filter(isOutside)
    .some((mine) => peer.candidates.some((theirs) => isOutside(theirs) && sameAddress(mine, theirs)))
  const isInSameLan = peer.sameNat || onLoopback || sharesPublicAddress
  return own.filter(
    ({ kind, endpoint }) => isInSameLan || kind !== 'host' || addressScope(endpoint.address) === 'public',
  )
}

/** Equal for equal lists. */
export function candidatesKey(candidates: readonly Candidate[]): string {
  return candidates.map(({ kind, endpoint }) => `${kind} ${formatEndpoint(endpoint)}`).join()
}

/** The longest interval between pings of a link. */
export function linkKeepaliveMs(nats: readonly NatProfile[], configuredMs: number): number {
  const lifetimes = nats.flatMap(({ lifetimeMs }) => (lifetimeMs === undefined ? [] : [lifetimeMs]))
  const shortest = lifetimes.length > 0 ? Math.min(...lifetimes) : null
  const maxMs = Math.max(minKeepaliveMs, Math.min(maxKeepaliveMs, configuredMs))
  return keepaliveIntervalMs(shortest, { leastMs: minKeepaliveMs, mostMs: maxMs })
}

function sameAddress(a: Candidate, b: Candidate): boolean {
  return a.endpoint.address === b.endpoint.address
}
