// The nat benchmark counts correctly and draws what it counted.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cells, goalOf } from '../harness/simulator/nat-grid.ts'
import { sideNames } from '../harness/simulator/nat-kinds.ts'
import { missed, type Run, statisticsOf } from '../harness/simulator/nat-statistics.ts'
import type { Outcome } from '../harness/simulator/pair-run.ts'
import { drawGrid } from './nat-picture.ts'
import { runAll } from './nat-worker-pool.ts'

const outcome: Outcome = {
  connected: true,
  strategies: ['direct', 'direct'],
  reasons: [null, null],
  pathKinds: ['direct', 'direct'],
  packets: [4, 6],
  tookMs: 3_000,
  searchMs: 1_000,
  maxNewPerSecond: 0,
  faults: [],
}

function runs(...outcomes: readonly Partial<Outcome>[]): Run[] {
  const scene = { left: { kind: null }, right: { kind: null } }
  const circumstances = { scene, seed: 1, mailMs: 0, loss: 0, profile: 'truth', crypto: 'cheap' } as const
  return outcomes.map((more) => ({ circumstances, outcome: { ...outcome, ...more } }))
}

test('a goal is missed by too few good runs, too many packets, too much search time, or any fault', () => {
  const goal = { success: 0.5, packetsEach: 10, packetsTogether: 15, searchMs: 2_000 }
  const missedBy = (...outcomes: readonly Partial<Outcome>[]) =>
    missed(goal, statisticsOf(goal, runs(...outcomes)))
  assert.deepEqual(missedBy({}, { connected: false }), [])
  assert.match(
    missedBy({}, { connected: false }, { connected: false }).join(),
    /1 of 3 runs were good, not 2/,
  )
  assert.match(missedBy({ packets: [1, 11] }).join(), /one side: 11 of at most 10/)
  assert.match(missedBy({ packets: [8, 8] }).join(), /together: 16 of at most 15/)
  assert.match(missedBy({ searchMs: 2_001 }).join(), /search: 2001 of at most 2000/)
  assert.match(missedBy({ faults: ['left 3 sockets open'] }).join(), /1 runs with faults/)
})

test('when no path is possible, a run is good if both sides report the reason in time', () => {
  const goal = goalOf('APDM+APDF random', 'APDM+APDF random')
  const good = (more: Partial<Outcome>) => statisticsOf(goal, runs({ connected: false, ...more })).good
  assert.equal(good({ reasons: ['why', 'why'] }), 1)
  assert.equal(good({ reasons: ['why', null] }), 0)
  assert.equal(good({ reasons: ['why', 'why'], tookMs: 5_001 }), 0)
})

test('when both sides are in one network, a path outside it does not count', () => {
  const goal = { success: 1, staysInside: true }
  const good = (pathKinds: Outcome['pathKinds']) => statisticsOf(goal, runs({ pathKinds })).good
  assert.equal(good(['lan', 'lan']), 1)
  assert.equal(good(['lan', 'direct']), 0)
})

test('the grid has every ordered pair once, with a goal', () => {
  assert.equal(new Set(cells.map(({ name }) => name)).size, sideNames.length ** 2)
  for (const { left, right, goal } of cells) assert.deepEqual(goal, goalOf(right, left))
  assert.equal(cells.filter(({ goal }) => goal.success === null).length, 3)
})

test('threads run every row under every network condition', async () => {
  const rows = cells.slice(0, 2)
  const seen: number[] = []
  const options = { each: 1, profile: 'probed', withRealCrypto: 0 } as const
  const tallies = await runAll(rows, options, (part) => seen.push(part))
  assert.deepEqual(
    [...tallies.keys()],
    rows.map(({ name }) => name),
  )
  assert.ok([...tallies.values()].every((one) => one.runs === 6 && one.good === 6))
  assert.equal(seen.at(-1), 1)
})

test('the picture shows in words what its colours show, in light and dark', () => {
  const grid = cells.map(({ left, right, goal }, index) => ({
    left,
    right,
    goal,
    pass: index !== 1,
    success: 0.9999,
    strategies: ['direct'],
    packetsMedian: 1_000 + index,
    secondsMedian: 0.1,
  }))
  const picture = drawGrid(grid, { peerpost: 46, another: 40 })
  for (const index of cells.keys()) assert.ok(picture.includes(`>${1_000 + index} packets<`))
  assert.ok(picture.includes('>99.9 %<') && !picture.includes('>100 %<'), 'not rounded up')
  assert.equal(picture.split('>says why<').length, 4)
  assert.equal(picture.split('class="missed"').length, 3, 'the cell and the legend')
  for (const words of ['below its goal', '46 of 49 pairs', '40 of 49 pairs', 'prefers-color-scheme:dark']) {
    assert.ok(picture.includes(words), words)
  }
})
