// Which meetings are run, and what is asked of them: the grid of the seven kinds of side with each other, and lines
// for what the grid leaves out. One table for the tests and for the bench.

import { kindOf, type SideName, sideNames } from './nat-kinds.ts'
import type { Circumstances, Outcome, Scene, Side } from './pair-run.ts'
import type { NatKind } from './simulated-nat.ts'

export type Goal = {
  /** Part of the runs that must connect, 0..1; null where none can: then a reason is wanted at once. */
  readonly success: number | null
  /** The path may not lead out of the network in which both are. */
  readonly staysInside?: boolean
  readonly packetsEach?: number
  readonly packetsTogether?: number
  /** Without the time that letters took. */
  readonly searchMs?: number
}

export type Line = {
  readonly name: string
  readonly goal: Goal
  /** Of the two sides what the name leaves open is drawn anew for every run. */
  readonly draw: (random: () => number) => Scene
}

export type Cell = Line & { readonly left: SideName; readonly right: SideName }

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

/** The acceptance table, row by row. */
export function goalOf(left: SideName, right: SideName): Goal {
  const hard = [left, right].filter(isHard)
  const [one] = hard
  if (one === undefined) return { success: 1, packetsEach: 60 }
  if (hard.length === 1) {
    return one === randomPorts
      ? { success: 0.999, packetsTogether: 1_800, searchMs: 35_000 }
      : { success: 0.99, packetsTogether: 400 }
  }
  if (!hard.includes(randomPorts)) return { success: 0.99, packetsTogether: 1_500 }
  return hard.includes(sequentialAdm)
    ? { success: 0.98, packetsTogether: 4_000 }
    : { success: null, packetsTogether: 100, searchMs: 5_000 }
}

export const cells: readonly Cell[] = sideNames.flatMap((left) =>
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

/** Either side may come first. */
function inEitherOrder(random: () => number, one: Side, other: Side): Scene {
  return random() < 0.5 ? { left: one, right: other } : { left: other, right: one }
}

const direct: Goal = { success: 1, packetsEach: 60 }
const burst = { foreignPerSecond: 5, foreignAtOnce: 20 }
const withSequential = goalOf('EIM+APDF', sequentialApdm)

const sequentialLines: Line[] = steps.flatMap((step) =>
  [0, 5, 20].map((foreignPerSecond) => ({
    name: `EIM+APDF with sequential, step ${step}, ${foreignPerSecond} foreign connections a second`,
    goal: withSequential,
    draw: (random) => {
      const hard = drawSide(random, pick(random, [sequentialAdm, sequentialApdm]), { step, foreignPerSecond })
      return inEitherOrder(random, drawSide(random, 'EIM+APDF'), hard)
    },
  })),
)

/** What the seven kinds leave out, but the tactics must know. */
const oddLines: Line[] = [
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

const blockLines: Line[] = (
  [
    [256, 150],
    [1_024, 400],
  ] as const
).flatMap(([blockPorts, packetsTogether]) =>
  [randomPorts, sequentialApdm].map((name) => ({
    name: `EIM+APDF with ${name} in a block of ${blockPorts}`,
    goal: { success: 0.99, packetsTogether },
    draw: (random) => {
      // A household: with more it would use its block up.
      const foreignPerSecond = pick(random, [0, 0.5])
      const hard = drawSide(random, name, { blockPorts, foreignPerSecond })
      return inEitherOrder(random, drawSide(random, 'EIM+APDF'), hard)
    },
  })),
)

const lanLines: Line[] = [false, true].map((hairpin) => ({
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

const carrierLines: Line[] = [
  {
    name: 'two homes behind one carrier NAT that hairpins',
    goal: direct,
    draw: (random) => ({
      left: { ...home(random), carrier: carrier(random, pick(random, behindEasyNat)) },
      // Only to say that it has one: it is the other's.
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

const poolLines: Line[] = [
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

const aroundLines: Line[] = [
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
      left: { ...drawSide(random, pick(random, hardNames)), hasSix: true },
      right: { ...drawSide(random, pick(random, hardNames)), hasSix: true },
    }),
  },
]

export const moreLines: readonly Line[] = [
  ...sequentialLines,
  ...oddLines,
  ...blockLines,
  ...lanLines,
  ...carrierLines,
  ...poolLines,
  ...aroundLines,
]

/** What every line goes through. */
export const weathers: readonly Pick<Circumstances, 'mailMs' | 'loss'>[] = [2_000, 30_000, 60_000].flatMap(
  (mailMs) => [0, 0.05].map((loss) => ({ mailMs, loss })),
)

/** Whether a run did what the goal asks of a single one. */
export function succeeded(goal: Goal, outcome: Outcome): boolean {
  if (outcome.connected) return !goal.staysInside || outcome.pathKinds.every((kind) => kind === 'lan')
  return (
    goal.success === null &&
    outcome.reasons.every((reason) => reason !== null) &&
    outcome.tookMs <= (goal.searchMs ?? 0)
  )
}
