// Which runs are made, and their goals: the grid of the seven kinds of side with each other, and rows for other
// cases. Tests and benchmark use the same table.

import { kindOf, type SideName, sideNames } from './nat-kinds.ts'
import type { Circumstances, Outcome, Scene, Side } from './pair-run.ts'
import type { NatKind } from './simulated-nat.ts'

export type Goal = {
  /**
   * Share of runs that must connect, 0..1. Null when connecting is impossible: then a reason must be given at
   * once.
   */
  readonly success: number | null
  /** The path must stay inside the network of both sides. */
  readonly staysInside?: boolean
  readonly packetsEach?: number
  readonly packetsTogether?: number
  /** Longest search time, without the time of letters. */
  readonly searchMs?: number
}

export type GridRow = {
  readonly name: string
  readonly goal: Goal
  /** Draws for each run what the name leaves open. */
  readonly draw: (random: () => number) => Scene
}

export type GridCell = GridRow & { readonly left: SideName; readonly right: SideName }

const steps = [1, -1, 2, -2, 5] as const
const lifetimesMs = [10_000, 30_000, 120_000] as const
const sequentialAdm: SideName = 'ADM+ADF sequential'
const sequentialApdm: SideName = 'APDM+APDF sequential'
const randomPorts: SideName = 'APDM+APDF random'
const hardNames = [sequentialAdm, sequentialApdm, randomPorts] as const
const easyNames = sideNames.filter((name) => !isHard(name))
const behindEasyNat = easyNames.filter((name) => name !== 'no NAT')

export function isHard(name: SideName): boolean {
  return name === sequentialAdm || name === sequentialApdm || name === randomPorts
}

/** The goals of the acceptance table. */
export function goalOf(left: SideName, right: SideName): Goal {
  const hard = [left, right].filter(isHard)
  const [first] = hard
  if (first === undefined) return { success: 1, packetsEach: 60 }
  if (hard.length === 1) {
    return first === randomPorts
      ? { success: 0.999, packetsTogether: 1_800, searchMs: 35_000 }
      : { success: 0.99, packetsTogether: 400 }
  }
  if (!hard.includes(randomPorts)) return { success: 0.99, packetsTogether: 1_500 }
  return hard.includes(sequentialAdm)
    ? { success: 0.98, packetsTogether: 4_000 }
    : { success: null, packetsTogether: 100, searchMs: 5_000 }
}

export const cells: readonly GridCell[] = sideNames.flatMap((left) =>
  sideNames.map((right) => ({
    name: `${left} with ${right}`,
    left,
    right,
    goal: goalOf(left, right),
    draw: (random) => ({ left: drawSide(random, left), right: drawSide(random, right) }),
  })),
)

function drawSide(
  random: () => number,
  name: SideName,
  more: Partial<NatKind> & { step?: number } = {},
): Side {
  const lifetimeMs = pick(random, lifetimesMs)
  const foreignPerSecond = pick(random, [0, 1, 5])
  return { kind: kindOf(name, { step: pick(random, steps), lifetimeMs, foreignPerSecond, ...more }) }
}

function pick<Value>(random: () => number, values: readonly Value[]): Value {
  return values[Math.floor(random() * values.length)] as Value
}

/** Draws the order of the two sides. */
function inEitherOrder(random: () => number, first: Side, other: Side): Scene {
  return random() < 0.5 ? { left: first, right: other } : { left: other, right: first }
}

const direct: Goal = { success: 1, packetsEach: 60 }
const burst = { foreignPerSecond: 5, foreignAtOnce: 20 }
const withSequential = goalOf('EIM+APDF', sequentialApdm)

const sequentialRows: GridRow[] = steps.flatMap((step) =>
  [0, 5, 20].map((foreignPerSecond) => ({
    name: `EIM+APDF with sequential, step ${step}, ${foreignPerSecond} foreign connections a second`,
    goal: withSequential,
    draw: (random) => {
      const hard = drawSide(random, pick(random, [sequentialAdm, sequentialApdm]), { step, foreignPerSecond })
      return inEitherOrder(random, drawSide(random, 'EIM+APDF'), hard)
    },
  })),
)

/** Cases beyond the seven kinds that the tactics must handle. */
const specialRows: GridRow[] = [
  {
    name: 'EIM+APDF with ADM+APDF random',
    goal: goalOf('EIM+APDF', randomPorts),
    draw: (random) =>
      inEitherOrder(random, drawSide(random, 'EIM+APDF'), drawSide(random, randomPorts, { mapping: 'ADM' })),
  },
  {
    name: 'ADM+APDF sequential with APDM+APDF random',
    goal: goalOf(sequentialAdm, randomPorts),
    draw: (random) => {
      const strict = drawSide(random, sequentialAdm, { filtering: 'APDF' })
      return inEitherOrder(random, strict, drawSide(random, randomPorts))
    },
  },
  {
    name: 'ADM+APDF sequential with ADM+APDF or APDM+APDF sequential',
    goal: goalOf(sequentialAdm, sequentialApdm),
    draw: (random) => {
      const mapping = pick(random, ['ADM', 'APDM'] as const)
      const other = drawSide(random, sequentialAdm, { mapping, filtering: 'APDF' })
      return inEitherOrder(random, drawSide(random, sequentialAdm, { filtering: 'APDF' }), other)
    },
  },
  {
    name: 'EIM+APDF with sequential, 5 foreign connections a second, 20 at once',
    goal: withSequential,
    draw: (random) => {
      const hard = drawSide(random, pick(random, [sequentialAdm, sequentialApdm]), burst)
      return inEitherOrder(random, drawSide(random, 'EIM+APDF'), hard)
    },
  },
  {
    name: 'two sequential, 5 foreign connections a second, 20 at once',
    goal: goalOf(sequentialApdm, sequentialApdm),
    draw: (random) => ({
      left: drawSide(random, pick(random, [sequentialAdm, sequentialApdm]), burst),
      right: drawSide(random, pick(random, [sequentialAdm, sequentialApdm]), burst),
    }),
  },
]

const blockRows: GridRow[] = (
  [
    [256, 150],
    [1_024, 400],
  ] as const
).flatMap(([blockPorts, packetsTogether]) =>
  [randomPorts, sequentialApdm].map((name) => ({
    name: `EIM+APDF with ${name} in a block of ${blockPorts}`,
    goal: { success: 0.99, packetsTogether },
    draw: (random) => {
      // The traffic of a household; more would use up its block.
      const foreignPerSecond = pick(random, [0, 0.5])
      const hard = drawSide(random, name, { blockPorts, foreignPerSecond })
      return inEitherOrder(random, drawSide(random, 'EIM+APDF'), hard)
    },
  })),
)

const lanRows: GridRow[] = [false, true].map((hairpin) => ({
  name: `two in one LAN ${hairpin ? 'with' : 'without'} hairpinning`,
  goal: { ...direct, staysInside: true },
  draw: (random) => {
    const side = drawSide(random, pick(random, [...behindEasyNat, ...hardNames]), { hairpin })
    return { left: side, right: side, shared: 'lan' }
  },
}))

const home = (random: () => number) => drawSide(random, pick(random, behindEasyNat))
const carrier = (random: () => number, name: SideName) =>
  drawSide(random, name, { hairpin: true }).kind as NatKind

const carrierRows: GridRow[] = [
  {
    name: 'two homes behind one carrier NAT that hairpins',
    goal: direct,
    draw: (random) => ({
      left: { ...home(random), carrier: carrier(random, pick(random, behindEasyNat)) },
      // Only shows that it has one; it is the left side's.
      right: { ...home(random), carrier: carrier(random, 'EIM+EIF') },
      shared: 'carrier',
    }),
  },
  {
    name: 'home NAT behind a carrier NAT, both EIM, with EIM',
    goal: direct,
    draw: (random) =>
      inEitherOrder(
        random,
        { ...home(random), carrier: carrier(random, pick(random, behindEasyNat)) },
        drawSide(random, pick(random, easyNames)),
      ),
  },
  {
    name: 'home NAT behind a sequential carrier NAT, with EIM',
    goal: withSequential,
    draw: (random) =>
      inEitherOrder(
        random,
        { ...home(random), carrier: carrier(random, pick(random, [sequentialAdm, sequentialApdm])) },
        drawSide(random, pick(random, easyNames)),
      ),
  },
]

const poolRows: GridRow[] = [
  {
    name: 'EIM with four public addresses, paired or not, with EIM',
    goal: direct,
    draw: (random) => {
      const pooling = pick(random, ['paired', 'arbitrary'] as const)
      const pooled = drawSide(random, pick(random, behindEasyNat), { pooling })
      return inEitherOrder(
        random,
        { ...pooled, publicAddresses: 4 },
        drawSide(random, pick(random, easyNames)),
      )
    },
  },
  {
    name: 'sequential with four public addresses, paired, with EIM',
    goal: withSequential,
    draw: (random) => {
      const pooled = drawSide(random, pick(random, [sequentialAdm, sequentialApdm]))
      return inEitherOrder(
        random,
        { ...pooled, publicAddresses: 4 },
        drawSide(random, pick(random, easyNames)),
      )
    },
  },
]

const easierPathRows: GridRow[] = [
  {
    name: 'two hard NATs, of which one gateway maps ports',
    goal: direct,
    draw: (random) => {
      const mapped = { ...drawSide(random, pick(random, hardNames)), mapsPort: true }
      return inEitherOrder(random, mapped, drawSide(random, pick(random, hardNames)))
    },
  },
  {
    name: 'two hard NATs, both with IPv6',
    goal: direct,
    draw: (random) => ({
      left: { ...drawSide(random, pick(random, hardNames)), hasIpv6: true },
      right: { ...drawSide(random, pick(random, hardNames)), hasIpv6: true },
    }),
  },
]

export const moreRows: readonly GridRow[] = [
  ...sequentialRows,
  ...specialRows,
  ...blockRows,
  ...lanRows,
  ...carrierRows,
  ...poolRows,
  ...easierPathRows,
]

/** The network conditions of every row. */
export const networkConditions: readonly Pick<Circumstances, 'mailMs' | 'loss'>[] = [
  2_000, 30_000, 60_000,
].flatMap((mailMs) => [0, 0.05].map((loss) => ({ mailMs, loss })))

/** Whether a single run reached the goal. */
export function succeeded(goal: Goal, outcome: Outcome): boolean {
  if (outcome.connected) return !goal.staysInside || outcome.pathKinds.every((kind) => kind === 'lan')
  return (
    goal.success === null &&
    outcome.reasons.every((reason) => reason !== null) &&
    outcome.tookMs <= (goal.searchMs ?? 0)
  )
}
