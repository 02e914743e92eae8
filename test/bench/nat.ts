// Which pairs of NATs peerpost connects, and at what cost: every pair of the seven kinds of side under six
// network conditions (mail of 2, 30 and 60 s, packet loss of 0 and 5 %), in the simulator. Every run has a seed
// and can be repeated (nat-replay.ts). The speed of the machine does not matter.

import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { cells, type Goal, type GridRow, isHard, moreRows } from '../harness/simulator/nat-grid.ts'
import type { RunsOptions } from '../harness/simulator/nat-runs.ts'
import { missed, type Statistics } from '../harness/simulator/nat-statistics.ts'
import { drawGrid } from './nat-picture.ts'
import { runAll } from './nat-worker-pool.ts'
import { printProgress, type Report, round } from './report.ts'

export type NatOptions = RunsOptions & { readonly picture: string | null }

export const natOptions: NatOptions = {
  each: 200,
  profile: 'probed',
  withRealCrypto: 2,
  picture: fileURLToPath(new URL('../../docs/nat-grid.svg', import.meta.url)),
}

/** Measured in one lab with emulated NATs, November 2026. Neither program connects any two symmetric NATs. */
export const others = { hyperdht: 40, 'ICE (libjuice)': 34 } as const

type Row = {
  readonly line: string
  readonly pass: boolean
  readonly missed: readonly string[]
  readonly goal: Goal
  readonly runs: number
  readonly success: number
  readonly strategies: readonly string[]
  readonly packetsMedian: number
  readonly packetsMost: number
  readonly packetsMostOfOneSide: number
  readonly secondsMedian: number
  readonly secondsMost: number
  readonly searchSecondsMedian: number
  readonly searchSecondsMost: number
  readonly newMappingsPerSecondMost: number
  readonly examples: Statistics['examples']
}

export async function benchNat(
  _quiet: unknown,
  options: NatOptions = natOptions,
): Promise<Report & { readonly rows: readonly Row[] }> {
  let tenths = 0
  const tallies = await runAll([...cells, ...moreRows], options, (part) => {
    const reached = Math.floor(part * 10)
    if (reached > tenths) printProgress(`${reached * 10} %`)
    tenths = reached
  })
  const rowOf = (line: GridRow): Row => {
    const summary = tallies.get(line.name)
    if (!summary) throw new Error(`${line.name} was not run`)
    return row(line, summary)
  }
  const grid = cells.map((cell) => ({ ...rowOf(cell), left: cell.left, right: cell.right }))
  const rows = [...grid, ...moreRows.map(rowOf)]
  for (const each of rows) printProgress(lineOf(each))
  const passed = (among: readonly Row[]) => among.filter(({ pass }) => pass).length
  const connecting = grid.filter(
    ({ goal, success }) => goal.success !== null && success >= goal.success,
  ).length
  if (options.picture) writeFileSync(options.picture, drawGrid(grid, { peerpost: connecting, ...others }))
  const easy = grid.filter(({ left, right }) => !isHard(left) && !isHard(right))
  return {
    bench: 'nat',
    ratio: round(connecting / cells.length),
    target: `${cells.length - 3} of ${cells.length} pairs, every line within its goal`,
    pass: rows.every(({ pass }) => pass),
    baseline: Object.fromEntries(Object.entries(others).map(([name, pairs]) => [`${name} pairs`, pairs])),
    measured: {
      pairs: connecting,
      'cells within goal': `${passed(grid)} of ${grid.length}`,
      'other lines within goal': `${passed(rows) - passed(grid)} of ${moreRows.length}`,
      'easy packetsMostOfOneSide': Math.max(...easy.map(({ packetsMostOfOneSide }) => packetsMostOfOneSide)),
      newMappingsPerSecondMost: Math.max(
        ...rows.map(({ newMappingsPerSecondMost }) => newMappingsPerSecondMost),
      ),
    },
    inputs: {
      'runs per line': options.each * 6,
      mailMs: [2_000, 30_000, 60_000],
      loss: [0, 0.05],
      profile: options.profile,
    },
    rows,
  }
}

function row({ name, goal }: GridRow, summary: Statistics): Row {
  const { runs, good, packets, packetsOfOne, tookMs, searchMs, strategies, examples } = summary
  const seconds = (value: number) => round(value / 1_000, 1)
  const faults = missed(goal, summary)
  return {
    line: name,
    pass: faults.length === 0,
    missed: faults,
    goal,
    runs,
    success: round(good / runs, 4),
    strategies,
    packetsMedian: packets.median,
    packetsMost: packets.max,
    packetsMostOfOneSide: packetsOfOne.max,
    secondsMedian: seconds(tookMs.median),
    secondsMost: seconds(tookMs.max),
    searchSecondsMedian: seconds(searchMs.median),
    searchSecondsMost: seconds(searchMs.max),
    newMappingsPerSecondMost: summary.maxNewPerSecond,
    examples,
  }
}

function lineOf(each: Row): string {
  const { line, pass, success, packetsMedian, packetsMost, secondsMedian, secondsMost, searchSecondsMost } =
    each
  return [
    pass ? ' ok ' : 'MISS',
    line.padEnd(70),
    `${round(success * 100, 2)} %`.padStart(8),
    `${packetsMedian}/${packetsMost} packets`.padStart(18),
    `${secondsMedian}/${secondsMost} s, search ${searchSecondsMost} s`.padStart(30),
    each.strategies.join('+'),
    ...each.missed,
  ].join('  ')
}
