// Statistics of many runs of one row, and whether they reach its goal.

import { type Goal, succeeded } from './nat-grid.ts'
import type { Circumstances, Outcome } from './pair-run.ts'

export type Run = { readonly circumstances: Circumstances; readonly outcome: Outcome }

export type Spread = { readonly median: number; readonly max: number }

export type Statistics = {
  readonly runs: number
  /** Runs that reached the goal: they connected, or reported at once that it is impossible. */
  readonly good: number
  readonly connected: number
  readonly strategies: readonly string[]
  /** Packets of both sides together, in all runs. */
  readonly packets: Spread
  readonly packetsOfOne: Spread
  /** Times of good runs only. */
  readonly tookMs: Spread
  readonly searchMs: Spread
  readonly maxNewPerSecond: number
  readonly faults: number
  /** Some failed runs, to be repeated. */
  readonly examples: readonly { readonly circumstances: Circumstances; readonly reason: string }[]
}

const maxExamples = 3

export function statisticsOf(goal: Goal, runs: readonly Run[]): Statistics {
  const good = runs.filter(({ outcome }) => succeeded(goal, outcome))
  const wrong = runs.filter((run) => run.outcome.faults.length > 0 || !succeeded(goal, run.outcome))
  const outcomes = runs.map(({ outcome }) => outcome)
  const goodOutcomes = good.map(({ outcome }) => outcome)
  return {
    runs: runs.length,
    good: good.length,
    connected: outcomes.filter(({ connected }) => connected).length,
    strategies: [...new Set(outcomes.flatMap(({ strategies }) => strategies))].sort(),
    packets: spread(outcomes.map(({ packets: [a, b] }) => a + b)),
    packetsOfOne: spread(outcomes.flatMap(({ packets }) => packets)),
    tookMs: spread(goodOutcomes.map(({ tookMs }) => tookMs)),
    searchMs: spread(goodOutcomes.map(({ searchMs }) => searchMs)),
    maxNewPerSecond: Math.max(0, ...outcomes.map(({ maxNewPerSecond }) => maxNewPerSecond)),
    faults: outcomes.filter(({ faults }) => faults.length > 0).length,
    examples: wrong.slice(0, maxExamples).map(({ circumstances, outcome }) => ({
      circumstances,
      reason: [...outcome.faults, ...outcome.reasons].filter((reason) => reason !== null).join('; '),
    })),
  }
}

/**
 * The parts of the goal that were missed, in words; empty when it was reached. `mayFail`: number of runs that
 * may fail by chance.
 */
export function missed(goal: Goal, statistics: Statistics, mayFail?: number): string[] {
  const { runs, good, packets, packetsOfOne, searchMs, faults } = statistics
  const needed = mayFail === undefined ? Math.ceil(runs * (goal.success ?? 1)) : runs - mayFail
  const over = (what: string, value: number, max: number | undefined) =>
    max !== undefined && value > max ? [`${what}: ${value} of at most ${max}`] : []
  return [
    ...(good < needed ? [`${good} of ${runs} runs were good, not ${needed}`] : []),
    ...over('packets of one side', packetsOfOne.max, goal.packetsEach),
    ...over('packets together', packets.max, goal.packetsTogether),
    ...over('milliseconds of search', Math.round(searchMs.max), goal.searchMs),
    ...(faults > 0 ? [`${faults} runs with faults`] : []),
  ]
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  return { median: sorted[Math.floor((sorted.length - 1) / 2)] ?? 0, max: sorted.at(-1) ?? 0 }
}
