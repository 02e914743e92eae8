// Converts the report of an agent to its public status: addresses are masked, and sentences for people are added.

import type { AgentReport } from '../agent/agent.ts'
import type { PathReport } from '../agent/events.ts'
import { familyOf } from '../base/endpoint.ts'
import { layersOf } from '../nat/nat-layers.ts'
import { maskEndpoint, maskText } from '../wording/mask-addresses.ts'
import { natWordsOf } from '../wording/nat-text.ts'
import { natWords, planWords } from '../wording/plan-text.ts'
import type { AgentStatus, PeerStatus } from './agent-schemas.ts'
import type { Standing } from './friends-and-blocked.ts'

/** Converts Unix ms to ISO 8601. */
export function instant(wallMs: number): string {
  return new Date(wallMs).toISOString()
}

type ReportedPeer = AgentReport['peers'][number]

export function natStatus({ nat, candidates, mapping }: AgentReport): AgentStatus['nat'] {
  const local = candidates.filter(({ kind }) => kind === 'host').map(({ endpoint }) => endpoint)
  const { profile, publicEndpoints } = nat
  const layers = layersOf({
    localEndpoints: local,
    publicEndpoints,
    routerAddress: mapping?.external.address ?? null,
  })
  const six = publicEndpoints.filter(({ address }) => familyOf(address) === 6)
  return {
    mapping: profile.mapping,
    filtering: profile.filtering,
    allocation: profile.allocation.type,
    lifetimeMs: profile.lifetimeMs ?? null,
    public: publicEndpoints.map(maskEndpoint),
    openPort: mapping && maskEndpoint(mapping.external),
    words: natWordsOf({ view: nat, six, local, mapping, layers }).map(maskText),
  }
}

/** `at` converts monotonic ms to ISO 8601. */
export function peerStatus(
  entry: ReportedPeer,
  standing: Standing,
  at: (monotonic: number) => string,
): PeerStatus {
  const { peer, state, quality } = entry
  const plan = state.state === 'trying' || state.state === 'linked' ? state.plan : null
  const linked = state.state === 'linked' ? state : null
  const failed = state.state === 'failed' ? state : null
  return {
    id: peer.id,
    name: peer.name,
    standing,
    state: state.state,
    since: at(entry.stateAt),
    lastAskedAt: entry.requestedAt === null ? null : at(entry.requestedAt),
    sameNat: entry.sameNat,
    flagged: entry.flagged,
    natWords: entry.nat && natWords(entry.nat),
    plan,
    planWords: plan === null ? null : planWords(plan),
    path: linked && pathStatus(linked.path),
    packets: linked?.packets ?? null,
    sincePunchMs: linked?.sincePunchMs ?? null,
    reason: failed?.reason ?? (state.state === 'gone' ? state.reason : null),
    advice: failed?.advice ?? null,
    quality: linked && quality && qualityStatus(quality, at),
  }
}

function pathStatus({ kind, protocol, remote }: PathReport): NonNullable<PeerStatus['path']> {
  return { kind, protocol, remote: maskText(remote) }
}

function qualityStatus(
  { roundTripMs, jitterMs, lossRate, sent, received, roundTrips }: NonNullable<ReportedPeer['quality']>,
  at: (monotonic: number) => string,
): PeerStatus['quality'] {
  return {
    roundTripMs: roundTripMs === null ? null : roundToTenth(roundTripMs),
    jitterMs: jitterMs === null ? null : roundToTenth(jitterMs),
    lossRate,
    sent: { ...sent },
    received: { ...received },
    roundTrips: roundTrips.map((trip) => ({ at: at(trip.at), ms: roundToTenth(trip.ms) })),
  }
}

function roundToTenth(ms: number): number {
  return Math.round(ms * 10) / 10
}
