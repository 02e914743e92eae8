// What many runs of one line came to, and whether that is what was asked.

import { type Goal, succeeded } from './nat-grid.ts'
import type { Circumstances, Outcome } from './pair-run.ts'

export type Run = { readonly circumstances: Circumstances; readonly outcome: Outcome }

export type Spread = { readonly median: number; readonly most: number }

export type Tally = {
  readonly runs: number
  /** Runs that did what was asked of them: connected, or where that cannot be, said why at once. */
  readonly good: number
  readonly connected: number
  readonly strategies: readonly string[]
  /** Of both sides together, whether they connected or not. */
  readonly packets: Spread
  readonly packetsOfOne: Spread
  /** Of good runs. */
  readonly tookMs: Spread
  readonly searchMs: Spread
  readonly mostNewPerSecond: number
  readonly faults: number
  /** Some of those that went wrong, to be run again. */
  readonly examples: readonly { readonly circumstances: Circumstances; readonly why: string }[]
}

const maxExamples = 3

export function tally(goal: Goal, runs: readonly Run[]): Tally {
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
    mostNewPerSecond: Math.max(0, ...outcomes.map(({ mostNewPerSecond }) => mostNewPerSecond)),
    faults: outcomes.filter(({ faults }) => faults.length > 0).length,
    examples: wrong.slice(0, maxExamples).map(({ circumstances, outcome }) => ({
      circumstances,
      why: [...outcome.faults, ...outcome.reasons].filter((reason) => reason !== null).join('; '),
    })),
  }
}

/** What of the goal was missed, in words; empty when it was reached. `mayFail`: runs that may go wrong by chance. */
export function missed(goal: Goal, tallied: Tally, mayFail?: number): string[] {
  const { runs, good, packets, packetsOfOne, searchMs, faults } = tallied
  const needed = mayFail === undefined ? Math.ceil(runs * (goal.success ?? 1)) : runs - mayFail
  const over = (what: string, value: number, most: number | undefined) =>
    most !== undefined && value > most ? [`${what}: ${value} of at most ${most}`] : []
  return [
    ...(good < needed ? [`${good} of ${runs} runs were good, not ${needed}`] : []),
    ...over('packets of one side', packetsOfOne.most, goal.packetsEach),
    ...over('packets together', packets.most, goal.packetsTogether),
    ...over('milliseconds of search', Math.round(searchMs.most), goal.searchMs),
    ...(faults > 0 ? [`${faults} runs with faults`] : []),
  ]
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  return { median: sorted[Math.floor((sorted.length - 1) / 2)] ?? 0, most: sorted.at(-1) ?? 0 }
}
