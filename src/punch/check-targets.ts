// Where a check may be sent, and which target is better. Candidates come from strangers: without these rules a
// peer could direct our packets at third parties or at ourselves.

import { addressScope, type Candidate, type Endpoint, familyOf } from '../base/endpoint.ts'

/** Candidates of one peer that are used; the rest is ignored. */
export const maxTargets = 12
/** At most so many of them are host candidates; computers with many interfaces have dozens. */
export const maxHostTargets = 4

/**
 * False for multicast, broadcast, reserved and link-local IPv6 addresses (which need a zone), and for loopback
 * unless allowed.
 */
export function isUsable({ address, port }: Endpoint, loopbackAllowed: boolean): boolean {
  if (port < 1 || port > 65535) return false
  const scope = addressScope(address)
  if (scope === 'loopback') return loopbackAllowed
  if (scope === 'link-local') return familyOf(address) === 4
  return scope !== 'unusable'
}

/** Whether packets to this candidate stay inside one network (B3). */
export function isLan({ kind, endpoint }: Candidate, sameNat: boolean): boolean {
  if (kind === 'host' && sameNat) return true
  const scope = addressScope(endpoint.address)
  return scope === 'private' || scope === 'link-local'
}

export const lowestRank = 1

/** Higher is better: LAN, then IPv6 (no NAT to keep open), then the rest. */
export function rankOf(candidate: Candidate, sameNat: boolean): number {
  if (isLan(candidate, sameNat)) return 3
  return familyOf(candidate.endpoint.address) === 6 ? 2 : lowestRank
}
