// Five hosts through a thousand bad days, each with a seed of its own: whether their tables are the same at rest.

import { endsEqual } from '../sync/simulated-day.ts'
import { type Report, tell } from './report.ts'

export function benchHosts(days = 1_000): Report {
  const unequal: number[] = []
  for (let seed = 0; seed < days; seed++) {
    if (!endsEqual(seed)) unequal.push(seed)
    if ((seed + 1) % 100 === 0) tell(`hosts: ${seed + 1} days, ${unequal.length} ended unequal`)
  }
  return {
    bench: 'hosts',
    ratio: (days - unequal.length) / days,
    target: '1',
    pass: unequal.length === 0,
    baseline: {},
    measured: { equalDays: days - unequal.length, unequalSeeds: unequal },
    inputs: { days, hosts: 5, lostMost: 0.4, lateMostMs: 600_000, doubled: 0.1 },
  }
}
