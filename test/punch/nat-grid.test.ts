// Which pairs of NATs connect, by name, in simulated time. Each side has the real prober, plan, attempt and
// signal letters. Mail takes 2, 30 and 60 s, with and without packet loss. Every run has a seed. `npm run bench
// -- nat` runs the same grid in full.
//
// The seeds are fixed, so a failure comes from a change of the code. A pair that must succeed in 99 % of all
// runs may fail once in these 24 (a machine that just reaches 99 % would fail twice in one of forty such
// samples). A pair that must succeed in 98 % may fail twice. No other may fail.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cells, type Goal, type GridRow, moreRows } from '../harness/simulator/nat-grid.ts'
import { runRow } from '../harness/simulator/nat-runs.ts'
import { missed, statisticsOf } from '../harness/simulator/nat-statistics.ts'

const options = { each: 4, profile: 'probed', withRealCrypto: 1 } as const

function mayFail({ success }: Goal): number {
  return success === null || success > 0.99 ? 0 : success > 0.98 ? 1 : 2
}

function assertReached(row: GridRow) {
  const result = statisticsOf(row.goal, runRow(row, options))
  const misses = missed(row.goal, result, mayFail(row.goal))
  assert.deepEqual(misses, [], `run again by test/bench/nat-replay.ts: ${JSON.stringify(result.examples)}`)
}

for (const cell of cells) {
  const { left, right, goal } = cell
  test(`${left} ${goal.success === null ? 'learns at once why it cannot connect to' : 'connects to'} ${right}`, () => {
    assertReached(cell)
  })
}

for (const row of moreRows) test(`they connect: ${row.name}`, () => assertReached(row))
