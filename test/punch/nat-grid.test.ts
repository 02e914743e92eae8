// Which pairs of NATs meet, by name, in simulated time: real prober, plan, attempt and signal letters on each side, mail
// of 2, 30 and 60 s, packets lost or not; every run is drawn from a seed. `npm run bench -- nat` runs the same grid in
// full.
//
// The seeds are fixed: what passes today passes tomorrow, and a failure comes from a change of the code. What shall
// succeed in 99 % of all runs may fail once in these 24 (a machine that just reaches 99 % would fail twice in one of
// forty such samples), what shall in 98 % twice; nothing else may.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cells, type Goal, type Line, moreLines } from '../harness/simulator/nat-grid.ts'
import { runLine } from '../harness/simulator/nat-runs.ts'
import { missed, tally } from '../harness/simulator/nat-tally.ts'

const options = { each: 4, profile: 'probed', withRealCrypto: 1 } as const

function mayFail({ success }: Goal): number {
  return success === null || success > 0.99 ? 0 : success > 0.98 ? 1 : 2
}

function assertReached(line: Line) {
  const tallied = tally(line.goal, runLine(line, options))
  const faults = missed(line.goal, tallied, mayFail(line.goal))
  assert.deepEqual(faults, [], `run again by test/bench/nat-replay.ts: ${JSON.stringify(tallied.examples)}`)
}

for (const cell of cells) {
  const { left, right, goal } = cell
  test(`${left} ${goal.success === null ? 'learns at once why it cannot meet' : 'meets'} ${right}`, () => {
    assertReached(cell)
  })
}

for (const line of moreLines) test(`they meet: ${line.name}`, () => assertReached(line))
