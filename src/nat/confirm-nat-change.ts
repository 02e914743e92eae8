// Decides whether a later round of answers changes our NAT view. One false server must not make our public
// endpoint flap, because every change is sent to others by mail.

import { distinctEndpoints, type Endpoint, type Family, familyOf, formatEndpoint } from '../base/endpoint.ts'
import type { Allocation } from '../base/nat-profile.ts'
import { classify, type Findings, type NatView, type Observation } from './classify-nat.ts'

/** Returns `before` itself when nothing changes. `unexpected`: the single answer that caused this round. */
export function confirmChange(
  before: NatView,
  latest: readonly Observation[],
  unexpected: Observation | null,
  localEndpoints: readonly Endpoint[],
  findings: Findings = {},
): NatView {
  const accepted = ([4, 6] as const).flatMap((family) => {
    const previous = ofFamily(before.observations, family)
    const { mapping } = classify(previous, localEndpoints, findings).profile
    return confirmFamily(
      previous,
      ofFamily(latest, family),
      unexpected,
      mapping === 'ADM' || mapping === 'APDM',
    )
  })
  const view = classify(accepted, localEndpoints, findings)
  const { mapping } = before.profile
  // Fewer answers than last time prove nothing about the mapping.
  const keepMapping = view.profile.mapping === 'unknown' && mapping !== 'none'
  const after = keepMapping ? { ...view, profile: { ...view.profile, mapping } } : view
  return sameVerdict(before, after) ? before : after
}

function confirmFamily(
  previous: readonly Observation[],
  latest: readonly Observation[],
  unexpected: Observation | null,
  isHard: boolean,
): readonly Observation[] {
  if (latest.length === 0) return previous
  if (previous.length === 0) return latest
  // All agree now and did not before, and there are as many: some answer was wrong before.
  if (countOf(previous) > 1 && countOf(latest) === 1 && latest.length > 1 && latest.length >= previous.length)
    return latest
  // When every destination has its own port, ports come and go; only a new address counts.
  const voteKey = ({ mapped }: Observation) => (isHard ? mapped.address : formatEndpoint(mapped))
  const before = votesOf(previous.map(voteKey))
  // An endpoint that was outvoted before does not confirm the present view.
  const leading = isHard ? 1 : Math.max(...before.values())
  if (latest.some((observation) => (before.get(voteKey(observation)) ?? 0) >= leading)) {
    const allKnown = latest.every((observation) => before.has(voteKey(observation)))
    return allKnown && latest.length > previous.length ? latest : previous
  }
  const votes = votesOf((unexpected ? [unexpected, ...latest] : latest).map(voteKey))
  return Math.max(...votes.values()) >= 2 ? latest : previous
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

/** Whether the two views are the same for others. */
export function sameVerdict(a: NatView, b: NatView): boolean {
  return (
    a.profile.mapping === b.profile.mapping &&
    a.profile.filtering === b.profile.filtering &&
    sameAllocation(a.profile.allocation, b.profile.allocation) &&
    endpointsKey(a) === endpointsKey(b)
  )
}

/** The order depends on which servers answered, so it is ignored; so is a port that nobody else can use. */
function endpointsKey({ profile: { mapping }, publicEndpoints }: NatView): string {
  const isHard = mapping === 'ADM' || mapping === 'APDM'
  const endpoints = publicEndpoints.map((endpoint) => (isHard ? endpoint.address : formatEndpoint(endpoint)))
  return [...new Set(endpoints)].sort().join()
}

function sameAllocation(a: Allocation, b: Allocation): boolean {
  const allocationKey = (allocation: Allocation) => {
    const step = allocation.type === 'sequential' ? allocation.step : 0
    const block = 'block' in allocation ? allocation.block : undefined
    return [allocation.type, step, block?.first, block?.last].join()
  }
  return allocationKey(a) === allocationKey(b)
}
