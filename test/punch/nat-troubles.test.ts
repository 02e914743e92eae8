// Every pair of NATs with one more fault. Both sides must always end within their budget and close their
// sockets. Faults that an attempt can survive must not make it fail.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cells } from '../harness/simulator/nat-grid.ts'
import { circumstancesOf } from '../harness/simulator/nat-runs.ts'
import { type Run, statisticsOf } from '../harness/simulator/nat-statistics.ts'
import { runPair } from '../harness/simulator/pair-run.ts'
import { type Trouble, troubles } from '../harness/simulator/troubles.ts'

const options = { each: 1, profile: 'probed', withRealCrypto: 0 } as const
/** The chosen network conditions: mail of 2 s, and mail of 60 s with packet loss. */
const chosen = [0, 5] as const

/** The share of runs that may fail because of the fault; all of them where none is given. */
const mayFail: Partial<Record<Trouble, number>> = {
  'a server lies': 0.05,
  'a server is silent': 0.05,
  'a server is late': 0.05,
  'servers answer twice': 0.02,
  'strangers send to the ports': 0.02,
  'letters come late and again': 0.02,
}

for (const trouble of troubles) {
  const share = mayFail[trouble]
  test(`when ${trouble}, every attempt ends cleanly${share === undefined ? '' : ' and few fail'}`, () => {
    const tallies = cells.map((cell) => {
      const runs = chosen.map((condition): Run => {
        const circumstances = { ...circumstancesOf(cell, condition, 0, options), trouble }
        return { circumstances, outcome: runPair(circumstances) }
      })
      return statisticsOf(cell.goal, runs)
    })
    const sum = (of: 'runs' | 'good' | 'faults') => tallies.reduce((total, each) => total + each[of], 0)
    const examples = JSON.stringify(tallies.flatMap((each) => each.examples).slice(0, 3))
    assert.equal(sum('faults'), 0, examples)
    if (share !== undefined)
      assert.ok(sum('good') >= (1 - share) * sum('runs'), `${sum('good')} of ${sum('runs')}: ${examples}`)
  })
}
