// Whether a later round of answers changes what we hold true. One lying or confused server must not make
// our public endpoint flap, for every change is told to others by mail.

import { distinctEndpoints, type Endpoint, type Family, familyOf, formatEndpoint } from '../base/endpoint.ts'
import { classify, type NatView, type Observation } from './classify.ts'

/** `before` itself when nothing changes. `surprise` is the single answer that made us ask all again. */
export function settle(
  before: NatView,
  fresh: readonly Observation[],
  surprise: Observation | null,
  localEndpoints: readonly Endpoint[],
): NatView {
  const accepted = ([4, 6] as const).flatMap((family) =>
    settleFamily(ofFamily(before.observations, family), ofFamily(fresh, family), surprise),
  )
  const view = classify(accepted, localEndpoints)
  const { mapping } = before.profile
  // Fewer answers than last time prove nothing about the NAT's character.
  const keepMapping = view.profile.mapping === 'unknown' && mapping !== 'none'
  const after = keepMapping ? { ...view, profile: { ...view.profile, mapping } } : view
  return sameVerdict(before, after) ? before : after
}

function settleFamily(
  old: readonly Observation[],
  fresh: readonly Observation[],
  surprise: Observation | null,
): readonly Observation[] {
  if (fresh.length === 0) return old
  if (old.length === 0) return fresh
  const severalBefore = countOf(old) > 1
  // All agree where they did not before, and as many as before: somebody was wrong then.
  if (severalBefore && countOf(fresh) === 1 && fresh.length > 1 && fresh.length >= old.length) return fresh
  // Where every destination gets its own port, the ports come and go; only a new address is news.
  const keyOf = ({ mapped }: Observation) => (severalBefore ? mapped.address : formatEndpoint(mapped))
  const known = new Set(old.map(keyOf))
  if (fresh.some((observation) => known.has(keyOf(observation)))) {
    const allKnown = fresh.every((observation) => known.has(keyOf(observation)))
    return allKnown && fresh.length > old.length ? fresh : old
  }
  const votes = new Map<string, number>()
  for (const observation of surprise ? [surprise, ...fresh] : fresh) {
    votes.set(keyOf(observation), (votes.get(keyOf(observation)) ?? 0) + 1)
  }
  return Math.max(...votes.values()) >= 2 ? fresh : old
}

function ofFamily(observations: readonly Observation[], family: Family): Observation[] {
  return observations.filter(({ mapped }) => familyOf(mapped.address) === family)
}

function countOf(observations: readonly Observation[]): number {
  return distinctEndpoints(observations.map(({ mapped }) => mapped)).length
}

function sameVerdict(a: NatView, b: NatView): boolean {
  return (
    a.profile.mapping === b.profile.mapping &&
    a.profile.allocation.type === b.profile.allocation.type &&
    // The order follows the servers that answered, which is no news.
    a.publicEndpoints.map(formatEndpoint).sort().join() ===
      b.publicEndpoints.map(formatEndpoint).sort().join()
  )
}
