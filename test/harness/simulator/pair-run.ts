// One meeting of two agents, drawn from a seed, and what came of it. A meeting is described by plain data, so that
// it can be handed to a thread, printed when it failed, and run again.

import type { Path } from '../../../src/punch/connectivity-checks.ts'
import type { SimulatedAgent } from './simulated-agent.ts'
import type { NatKind } from './simulated-nat.ts'
import { choicesUnder, prepare, strike, type Trouble } from './troubles.ts'
import { type Home, World } from './world.ts'

export type Side = {
  /** Null is no NAT. */
  readonly kind: NatKind | null
  /** Its gateway opens a port when asked, or was told to by its owner. */
  readonly mapsPort?: boolean
  readonly publicAddresses?: number
  readonly hasSix?: boolean
  /** The provider's NAT before its own. */
  readonly carrier?: NatKind
}

export type Scene = {
  readonly left: Side
  readonly right: Side
  /** Both in one LAN (the left side's), or both behind one carrier (the left side's). */
  readonly shared?: 'lan' | 'carrier'
}

export type Circumstances = {
  readonly scene: Scene
  readonly seed: number
  readonly mailMs: number
  readonly loss: number
  /** What the agents know of their NATs: all there is to know, or what the prober finds. */
  readonly profile: 'truth' | 'probed'
  readonly crypto: 'real' | 'cheap'
  readonly trouble?: Trouble
}

export type Outcome = {
  /** Each side has a path, and what it sends by it arrives, also after the attempt is over. */
  readonly connected: boolean
  readonly strategies: readonly [string, string]
  /** Why there is no path: a plan's sentence, a machine's word, or ours. */
  readonly reasons: readonly [string | null, string | null]
  readonly pathKinds: readonly [Path['kind'] | null, Path['kind'] | null]
  /** Sent until both attempts were over. */
  readonly packets: readonly [number, number]
  /** From the moment when both knew of each other to a path on both sides, or to the end of both attempts. */
  readonly tookMs: number
  /** The part of it in which no letter of theirs was under way and no agreed hour awaited. */
  readonly searchMs: number
  /** New mappings of one NAT within a second, at worst. */
  readonly mostNewPerSecond: number
  /** What should never be, whatever else happens: sockets left open, wrong counts, no end. */
  readonly faults: readonly string[]
}

/** More than any plan may take: rounds of letters of a minute. */
const longestAttemptMs = 1_200_000
/** For both links to prove themselves when the punching is over. */
const proofMs = 10_000

export function runPair(circumstances: Circumstances): Outcome {
  const { seed, mailMs, loss, crypto, trouble } = circumstances
  const doubledMail = trouble === 'letters come late and again' ? 1 : 0.05
  const world = new World({ seed, loss, mailMs, crypto, doubledMail, clockErrorMs: 1_500 })
  if (trouble) prepare(trouble, world)
  const { a, b, homes } = settle(world, circumstances)
  world.probe(a, b)
  // An entry in a host's table may be some minutes old; the mappings in it are kept alive.
  world.time.run(world.random() * 30_000)
  const natsNow = () =>
    Math.max(0, ...homes.flatMap(({ nats }) => nats.map(({ mostNewPerSecond }) => mostNewPerSecond)))
  world.correspond(a, b)
  if (!world.time.runUntil(() => a.plan !== null && b.plan !== null, 10 * mailMs + 60_000)) {
    throw new Error('a letter got lost')
  }
  const knownAt = world.time.now()
  if (trouble) strike(trouble, world, homes, [a, b])
  const isOver = (agent: SimulatedAgent) => agent.ended !== null || agent.plan?.strategy === 'none'
  const bothHavePaths = () => a.path !== null && b.path !== null
  world.time.runUntil(() => bothHavePaths() || (isOver(a) && isOver(b)), longestAttemptMs)
  const settledAt = world.time.now()
  const gotPaths = bothHavePaths()
  world.time.runUntil(() => isOver(a) && isOver(b), longestAttemptMs)
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
    mostNewPerSecond: natsNow(),
    faults: [...faultsOf(a, isOver(a)), ...faultsOf(b, isOver(b))],
  }
}

type Settled = { readonly a: SimulatedAgent; readonly b: SimulatedAgent; readonly homes: readonly Home[] }

function settle(world: World, { scene, profile, trouble }: Circumstances): Settled {
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
  const moveIn = (side: Side, home: Home | null): SimulatedAgent => {
    const choices = {
      ...(profile === 'truth' && { known: 'truth' as const }),
      ...(side.hasSix && { hasSix: true }),
      ...(trouble && side === left && choicesUnder(trouble, world.random)),
    }
    const agent = home ? world.agentIn(home, choices) : world.agent(null, choices)
    if (side.mapsPort) for (const nat of home?.nats.slice(0, 1) ?? []) agent.addMapped(nat)
    return agent
  }
  const leftCarrier = carrierOf(left, undefined)
  const leftHome = homeOf(left, leftCarrier)
  const a = moveIn(left, leftHome)
  const rightHome =
    shared === 'lan'
      ? leftHome
      : homeOf(right, carrierOf(right, shared === 'carrier' ? leftCarrier.carrier : undefined))
  const b = moveIn(right, rightHome)
  return { a, b, homes }
}

function reasonOf({ plan, failedBecause }: SimulatedAgent): string | null {
  return plan?.strategy === 'none' ? plan.reason : failedBecause
}

function faultsOf(agent: SimulatedAgent, isOver: boolean): string[] {
  const budget = agent.plan?.strategy === 'none' ? 0 : (agent.plan?.budget ?? 0)
  return [
    ...(isOver ? [] : ['the attempt has no end']),
    ...(agent.packets === agent.packetsClaimed
      ? []
      : [`says ${agent.packetsClaimed} packets, sent ${agent.packets}`]),
    ...(agent.packets > budget ? [`sent ${agent.packets} packets of ${budget}`] : []),
    ...(isOver && agent.openSockets > 1 ? [`left ${agent.openSockets} sockets open`] : []),
  ]
}
