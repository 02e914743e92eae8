// Whether a later round of answers changes what we hold true. One lying or confused server must not make
// our public endpoint flap, for every change is told to others by mail.

import { distinctEndpoints, type Endpoint, type Family, familyOf, formatEndpoint } from '../base/endpoint.ts'
import type { Allocation } from '../base/nat-profile.ts'
import { classify, type Findings, type NatView, type Observation } from './classify-nat.ts'

/** `before` itself when nothing changes. `surprise` is the single answer that made us ask all again. */
export function confirmChange(
  before: NatView,
  fresh: readonly Observation[],
  surprise: Observation | null,
  localEndpoints: readonly Endpoint[],
  findings: Findings = {},
): NatView {
  const accepted = ([4, 6] as const).flatMap((family) => {
    const old = ofFamily(before.observations, family)
    const { mapping } = classify(old, localEndpoints, findings).profile
    return confirmFamily(old, ofFamily(fresh, family), surprise, mapping === 'ADM' || mapping === 'APDM')
  })
  const view = classify(accepted, localEndpoints, findings)
  const { mapping } = before.profile
  // Fewer answers than last time prove nothing about the NAT's character.
  const keepMapping = view.profile.mapping === 'unknown' && mapping !== 'none'
  const after = keepMapping ? { ...view, profile: { ...view.profile, mapping } } : view
  return sameVerdict(before, after) ? before : after
}

function confirmFamily(
  old: readonly Observation[],
  fresh: readonly Observation[],
  surprise: Observation | null,
  isHard: boolean,
): readonly Observation[] {
  if (fresh.length === 0) return old
  if (old.length === 0) return fresh
  // All agree where they did not before, and as many as before: somebody was wrong then.
  if (countOf(old) > 1 && countOf(fresh) === 1 && fresh.length > 1 && fresh.length >= old.length) return fresh
  // Where every destination gets its own port, the ports come and go; only a new address is news.
  const keyOf = ({ mapped }: Observation) => (isHard ? mapped.address : formatEndpoint(mapped))
  const before = votesOf(old.map(keyOf))
  // Who was outvoted before has no say on whether things are as they were.
  const leading = isHard ? 1 : Math.max(...before.values())
  if (fresh.some((observation) => (before.get(keyOf(observation)) ?? 0) >= leading)) {
    const allKnown = fresh.every((observation) => before.has(keyOf(observation)))
    return allKnown && fresh.length > old.length ? fresh : old
  }
  const votes = votesOf((surprise ? [surprise, ...fresh] : fresh).map(keyOf))
  return Math.max(...votes.values()) >= 2 ? fresh : old
}

function votesOf(keys: readonly string[]): Map<string, number> {
  const votes = new Map<string, number>()
  for (const key of keys) votes.set(key, (votes.get(key) ?? 0) + 1)
  return votes
}

function ofFamily(observations: readonly Observation[], family: Family): Observation[] {
  return observations.filter(({ mapped }) => familyOf(mapped.address) === family)
}

function countOf(observations: readonly Observation[]): number {
  return distinctEndpoints(observations.map(({ mapped }) => mapped)).length
}

/** What others need to hear of. */
export function sameVerdict(a: NatView, b: NatView): boolean {
  return (
    a.profile.mapping === b.profile.mapping &&
    a.profile.filtering === b.profile.filtering &&
    sameAllocation(a.profile.allocation, b.profile.allocation) &&
    placesOf(a) === placesOf(b)
  )
}

/** The order follows the servers that answered, which is no news; nor is a port that nobody else can use. */
function placesOf({ profile: { mapping }, publicEndpoints }: NatView): string {
  const isHard = mapping === 'ADM' || mapping === 'APDM'
  const places = publicEndpoints.map((endpoint) => (isHard ? endpoint.address : formatEndpoint(endpoint)))
  return [...new Set(places)].sort().join()
}

function sameAllocation(a: Allocation, b: Allocation): boolean {
  const partsOf = (allocation: Allocation) => {
    const step = allocation.type === 'sequential' ? allocation.step : 0
    const block = 'block' in allocation ? allocation.block : undefined
    return [allocation.type, step, block?.first, block?.last].join()
  }
  return partsOf(a) === partsOf(b)
}
