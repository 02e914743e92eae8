// Simulates a thousand days of five hosts with many faults, one seed per day, and checks that their tables are
// equal in the end.

import { endsEqual } from '../sync/simulated-day.ts'
import { printProgress, type Report } from './report.ts'

export function benchHosts(days = 1_000): Report {
  const unequal: number[] = []
  for (let seed = 0; seed < days; seed++) {
    if (!endsEqual(seed)) unequal.push(seed)
    if ((seed + 1) % 100 === 0) printProgress(`hosts: ${seed + 1} days, ${unequal.length} ended unequal`)
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
