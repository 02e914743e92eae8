// Which pairs of NATs connect although one side learns of the other much later, by name, in simulated time.
// Each side has the real prober, plan and attempt. The grid of all pairs with mail is in nat-grid.test.ts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nat } from '../harness/simulator/nat-kinds.ts'
import type { NatKind } from '../harness/simulator/simulated-nat.ts'
import { World } from '../harness/simulator/world.ts'

const offsetsMs = [0, 2_000, 30_000, 60_000]
const losses = [0, 0.05]
const seeds = [1, 2, 3, 4, 5, 6]
const budget = 60

const kinds = {
  'no NAT': null,
  'EIM+EIF': nat('EIM', 'EIF', { allocation: 1 }),
  'EIM+ADF': nat('EIM', 'ADF'),
  'EIM+APDF': nat('EIM', 'APDF', { allocation: 2 }),
  'ADM+ADF': nat('ADM', 'ADF', { allocation: 1 }),
  'APDM+APDF': nat('APDM', 'APDF', { allocation: 1 }),
} satisfies Record<string, NatKind | null>

type KindName = keyof typeof kinds

const easy: readonly KindName[] = ['no NAT', 'EIM+EIF', 'EIM+ADF', 'EIM+APDF']
const hard: readonly KindName[] = ['ADM+ADF', 'APDM+APDF']

function assertConnects(left: KindName, right: KindName, offsetMs: number, loss: number, seed: number) {
  const world = new World({ seed, loss })
  const a = world.agent(kinds[left])
  const b = world.agent(kinds[right])
  world.probe(a, b)
  const started = world.time.now()
  world.introduce(a, b, offsetMs)
  const connected = world.time.runUntil(() => a.path !== null && b.path !== null, 120_000)
  const circumstances = `offset ${offsetMs} ms, loss ${loss}, seed ${seed}, packets ${a.packets} and ${b.packets}`
  assert.ok(connected, circumstances)
  assert.equal(a.path?.kind, 'direct', circumstances)
  world.time.run(60_000)
  assert.ok(a.packets <= budget && b.packets <= budget, circumstances)
  assert.equal(a.ended, 'done', circumstances)
  assert.equal(b.ended, 'done', circumstances)
  return world.time.now() - started
}

function testConnects(left: KindName, right: KindName) {
  test(`${left} connects to ${right}, with any time between their letters and with packet loss`, () => {
    for (const offsetMs of offsetsMs) {
      for (const loss of losses) {
        for (const seed of seeds) assertConnects(left, right, offsetMs, loss, seed)
      }
    }
  })
}

for (const left of easy) for (const right of easy) testConnects(left, right)

// A hard NAT reaches the side that has no NAT or a full cone, and that side learns the port from its checks.
// The same holds for a side that filters by address only.
for (const left of ['no NAT', 'EIM+EIF', 'EIM+ADF'] as const) {
  for (const right of hard) {
    testConnects(left, right)
    testConnects(right, left)
  }
}

test('a mapping with a lifetime of 10 s stays the same while a letter takes two minutes', () => {
  const world = new World({ seed: 9, loss: 0.05 })
  const agent = world.agent(kinds['EIM+APDF'])
  world.probe(agent)
  world.time.run(120_000)
  assert.deepEqual(agent.changes, [])
})
