// One run of two agents, drawn from a seed, and its outcome. A run is described by plain data, so that it can
// be sent to a worker thread, printed when it failed, and repeated.

import type { Path } from '../../../src/punch/connectivity-checks.ts'
import type { SimulatedAgent } from './simulated-agent.ts'
import type { NatKind } from './simulated-nat.ts'
import { applyTrouble, choicesUnder, prepareTrouble, type Trouble } from './troubles.ts'
import { type Home, World } from './world.ts'

export type Side = {
  /** Null means no NAT. */
  readonly kind: NatKind | null
  /** Its gateway opens a port on request or by configuration. */
  readonly mapsPort?: boolean
  readonly publicAddresses?: number
  readonly hasIpv6?: boolean
  /** The provider's NAT beyond its own. */
  readonly carrier?: NatKind
}

export type Scene = {
  readonly left: Side
  readonly right: Side
  /** Both sides in the left side's LAN, or behind the left side's carrier NAT. */
  readonly shared?: 'lan' | 'carrier'
}

export type Circumstances = {
  readonly scene: Scene
  readonly seed: number
  readonly mailMs: number
  readonly loss: number
  /** What the agents know about their NATs: the truth, or what the prober finds. */
  readonly profile: 'truth' | 'probed'
  readonly crypto: 'real' | 'cheap'
  readonly trouble?: Trouble
}

export type Outcome = {
  /** Each side has a path, and its packets arrive on it even after the attempt. */
  readonly connected: boolean
  readonly strategies: readonly [string, string]
  /** Why there is no path: the plan's reason, or the machine's. */
  readonly reasons: readonly [string | null, string | null]
  readonly pathKinds: readonly [Path['kind'] | null, Path['kind'] | null]
  /** Packets sent until both attempts were over. */
  readonly packets: readonly [number, number]
  /** Time from when both sides knew each other to paths on both sides, or to the end of both attempts. */
  readonly tookMs: number
  /** The part of it without letters in transit or awaited start times. */
  readonly searchMs: number
  /** Highest number of new mappings of one NAT within a second. */
  readonly maxNewPerSecond: number
  /** Violations that must never happen: open sockets, wrong counts, no end. */
  readonly faults: readonly string[]
}

/** Longer than any plan: rounds with letters of a minute. */
const maxAttemptMs = 1_200_000
/** Time for both links to show that they work after punching. */
const proofMs = 10_000

export function runPair(circumstances: Circumstances): Outcome {
  const { seed, mailMs, loss, crypto, trouble } = circumstances
  const doubledMail = trouble === 'letters come late and again' ? 1 : 0.05
  const world = new World({ seed, loss, mailMs, crypto, doubledMail, clockErrorMs: 1_500 })
  if (trouble) prepareTrouble(trouble, world)
  const { a, b, homes } = placeAgents(world, circumstances)
  world.probe(a, b)
  // An entry in a host's table may be some minutes old; its mappings are kept alive.
  world.time.run(world.random() * 30_000)
  const maxNewMappings = () =>
    Math.max(0, ...homes.flatMap(({ nats }) => nats.map(({ maxNewPerSecond }) => maxNewPerSecond)))
  world.introduceByMail(a, b)
  if (!world.time.runUntil(() => a.plan !== null && b.plan !== null, 10 * mailMs + 60_000)) {
    throw new Error('a letter got lost')
  }
  const knownAt = world.time.now()
  if (trouble) applyTrouble(trouble, world, homes, [a, b])
  const isOver = (agent: SimulatedAgent) => agent.ended !== null || agent.plan?.strategy === 'none'
  const bothHavePaths = () => a.path !== null && b.path !== null
  world.time.runUntil(() => bothHavePaths() || (isOver(a) && isOver(b)), maxAttemptMs)
  const settledAt = world.time.now()
  const gotPaths = bothHavePaths()
  world.time.runUntil(() => isOver(a) && isOver(b), maxAttemptMs)
  if (trouble === 'letters come late and again') world.time.run(20 * mailMs)
  world.time.run(proofMs)
  const arrives = (agent: SimulatedAgent) => agent.lastDataAt > world.time.now() - proofMs
  return {
    connected: gotPaths && arrives(a) && arrives(b),
    strategies: [a.plan?.strategy ?? '', b.plan?.strategy ?? ''],
    reasons: [reasonOf(a), reasonOf(b)],
    pathKinds: [a.path?.kind ?? null, b.path?.kind ?? null],
    packets: [a.packets, b.packets],
    tookMs: settledAt - knownAt,
    searchMs: settledAt - knownAt - world.waitedMs(knownAt, settledAt),
    maxNewPerSecond: maxNewMappings(),
    faults: [...faultsOf(a, isOver(a)), ...faultsOf(b, isOver(b))],
  }
}

type Placed = { readonly a: SimulatedAgent; readonly b: SimulatedAgent; readonly homes: readonly Home[] }

function placeAgents(world: World, { scene, profile, trouble }: Circumstances): Placed {
  const { left, right, shared } = scene
  const homes: Home[] = []
  const carrierOf = (side: Side, other: Home | undefined): { carrier?: Home } => {
    if (!side.carrier) return {}
    return { carrier: other ?? world.home(side.carrier) }
  }
  const homeOf = (side: Side, carrier: { carrier?: Home }): Home | null => {
    if (!side.kind) return null
    const home = world.home(side.kind, { addresses: side.publicAddresses ?? 1, ...carrier })
    homes.push(home)
    return home
  }
  const placeAgent = (side: Side, home: Home | null): SimulatedAgent => {
    const choices = {
      ...(profile === 'truth' && { known: 'truth' as const }),
      ...(side.hasIpv6 && { hasIpv6: true }),
      ...(trouble && side === left && choicesUnder(trouble, world.random)),
    }
    const agent = home ? world.agentIn(home, choices) : world.agent(null, choices)
    if (side.mapsPort) for (const nat of home?.nats.slice(0, 1) ?? []) agent.addMapped(nat)
    return agent
  }
  const leftCarrier = carrierOf(left, undefined)
  const leftHome = homeOf(left, leftCarrier)
  const a = placeAgent(left, leftHome)
  const rightHome =
    shared === 'lan'
      ? leftHome
      : homeOf(right, carrierOf(right, shared === 'carrier' ? leftCarrier.carrier : undefined))
  const b = placeAgent(right, rightHome)
  return { a, b, homes }
}

function reasonOf({ plan, failureReason }: SimulatedAgent): string | null {
  return plan?.strategy === 'none' ? plan.reason : failureReason
}

function faultsOf(agent: SimulatedAgent, isOver: boolean): string[] {
  const budget = agent.plan?.strategy === 'none' ? 0 : (agent.plan?.budget ?? 0)
  return [
    ...(isOver ? [] : ['the attempt has no end']),
    ...(agent.packets === agent.reportedPackets
      ? []
      : [`says ${agent.reportedPackets} packets, sent ${agent.packets}`]),
    ...(agent.packets > budget ? [`sent ${agent.packets} packets of ${budget}`] : []),
    ...(isOver && agent.openSockets > 1 ? [`left ${agent.openSockets} sockets open`] : []),
  ]
}
