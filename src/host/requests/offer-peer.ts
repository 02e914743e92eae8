// What one agent learns of another (A5, B1–B3, B6). Only here does an entry of the table become something that leaves the
// host.

import {
  addressScope,
  type Candidate,
  type Endpoint,
  type Family,
  familyOf,
  sharePrefix,
} from '../../base/endpoint.ts'
import type { OfferedPeer } from '../../letter/letter-types.ts'
import { limits } from '../../letter/limits.ts'
import type { Entry } from '../../store/peer-table.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'

/** How many leading bits the public addresses of one NAT have in common (B2). */
type NatPrefix = Readonly<Record<Family, number>>

/** A NAT with several addresses uses few of them at once. The limit keeps an agent from listing many addresses to get the host
 *  candidates of strangers. */
const maxPublicAddresses = 2

type Offerable = Pick<
  Entry,
  'user' | 'nickname' | 'session' | 'candidates' | 'tcpCandidates' | 'nat' | 'flagged' | 'acceptedAt'
>

/** The peer as the viewer may see it: without its mail address, and with host candidates only behind the same NAT. */
export function offerPeer(
  peer: Offerable,
  viewer: Pick<Entry, 'candidates' | 'tcpCandidates'>,
  prefix: NatPrefix,
  now: number,
): OfferedPeer {
  const sameNat = areBehindSameNat(allOf(peer), allOf(viewer), prefix)
  const { tcpCandidates } = peer
  return {
    id: peer.user,
    nickname: peer.nickname,
    session: peer.session,
    candidates: visibleCandidates(peer.candidates, sameNat),
    ...(tcpCandidates && { tcpCandidates: visibleTcp(tcpCandidates, sameNat) }),
    nat: peer.nat,
    sameNat,
    flagged: peer.flagged,
    ageMs: Math.min(limits.durationMs, Math.max(0, now - peer.acceptedAt)),
  }
}

/** Flags an agent whose mail bounces: nobody can introduce it, so others will hardly reach it. */
export function flagUnreachable(
  entry: Entry,
  unreachable: Pick<UnreachableAddresses, 'has'>,
  now: number,
): Entry {
  return !entry.flagged && unreachable.has(entry.returnAddress, now) ? { ...entry, flagged: true } : entry
}

/** Where UDP is blocked, only the TCP candidates show the public address. */
function allOf({
  candidates,
  tcpCandidates = [],
}: Pick<Entry, 'candidates' | 'tcpCandidates'>): readonly Candidate[] {
  return [...candidates, ...tcpCandidates]
}

/** The one bit of B1: a public address of one and a public address of the other have the same prefix. */
export function areBehindSameNat(
  mine: readonly Candidate[],
  theirs: readonly Candidate[],
  prefix: NatPrefix,
): boolean {
  return ([4, 6] as const).some((family) => {
    const other = publicAddresses(theirs, family)
    return publicAddresses(mine, family).some((address) =>
      other.some((candidate) => sharePrefix(address, candidate, prefix)),
    )
  })
}

function publicAddresses(candidates: readonly Candidate[], family: Family): readonly string[] {
  const addresses = publicEndpoints(candidates, family).map((endpoint) => endpoint.address)
  return [...new Set(addresses)].slice(0, maxPublicAddresses)
}

/** The server-reflexive endpoints. If the family has none, the host endpoints with a public address (no NAT, or IPv6). */
function publicEndpoints(candidates: readonly Candidate[], family: Family): readonly Endpoint[] {
  const ofFamily = candidates.filter(({ endpoint }) => familyOf(endpoint.address) === family)
  const reflexive = ofFamily.filter(({ kind }) => kind === 'server-reflexive')
  const chosen = reflexive.length > 0 ? reflexive : ofFamily.filter(isPublicHost)
  return chosen.map(({ endpoint }) => endpoint)
}

function isPublicHost({ kind, endpoint }: Candidate): boolean {
  return kind === 'host' && addressScope(endpoint.address) === 'public'
}

/** A public host candidate that replaces a missing server-reflexive one is sent as server-reflexive. So `host` always means
 *  "inside your own network". */
function visibleCandidates(candidates: readonly Candidate[], sameNat: boolean): readonly Candidate[] {
  if (sameNat) return candidates
  const replacements = ([4, 6] as const).flatMap((family) => publicEndpoints(candidates, family))
  return candidates.flatMap((candidate): Candidate[] => {
    if (candidate.kind !== 'host') return [candidate]
    const isReplacement = replacements.includes(candidate.endpoint)
    return isReplacement ? [{ kind: 'server-reflexive', endpoint: candidate.endpoint }] : []
  })
}

/** For TCP `host` means that the port listens, so a public host candidate keeps its kind. */
function visibleTcp(candidates: readonly Candidate[], sameNat: boolean): readonly Candidate[] {
  return candidates.filter((candidate) => sameNat || candidate.kind !== 'host' || isPublicHost(candidate))
}
