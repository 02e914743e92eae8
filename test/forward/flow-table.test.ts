import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  FlowTable,
  idleMs,
  maxFlows,
  maxFlowsPerPeer,
  replaceableAfterMs,
} from '../../src/forward/udp/flow-table.ts'

test('for any flows, the limits hold and each removed flow is reported once', () => {
  const moves = fc.array(
    fc.record({
      peer: fc.nat(6),
      flow: fc.nat(200),
      waitMs: fc.constantFrom(0, 0, 1, 500, replaceableAfterMs),
    }),
    { maxLength: 1_500, size: 'max' },
  )
  const check = (steps: readonly { peer: number; flow: number; waitMs: number }[]) => {
    const removed: string[] = []
    let added = 0
    const table = new FlowTable<string, string>((value) => removed.push(value))
    let now = 0
    for (const { peer, flow, waitMs } of steps) {
      now += waitMs
      const key = `${peer} ${flow}`
      const make = () => {
        added++
        return key
      }
      if (table.use(`${peer}`, key, now) === undefined) table.add(`${peer}`, key, now, make)
      const present = table.values()
      assert.ok(present.length <= maxFlows)
      assert.ok(present.filter((value) => value.startsWith(`${peer} `)).length <= maxFlowsPerPeer)
      assert.equal(present.length + removed.length, added)
    }
    table.expire(now + idleMs)
    assert.equal(table.size, 0)
    assert.equal(removed.length, added)
  }
  fc.assert(fc.property(moves, check), { numRuns: 30 })
})

test('at its limit a peer loses its longest idle flow, but none that was used recently', () => {
  const removed: number[] = []
  const table = new FlowTable<string, number>((value) => removed.push(value))
  for (let i = 0; i < maxFlowsPerPeer; i++) table.add('a', `a${i}`, i, () => i)
  const now = replaceableAfterMs
  table.use('a', 'a0', now)
  assert.equal(
    table.add('a', 'a new', now, () => 99),
    undefined,
  )
  assert.equal(
    table.add('a', 'a new', now + 1, () => 99),
    99,
  )
  assert.deepEqual(removed, [1])
  assert.equal(
    table.add('b', 'b', now, () => 100),
    100,
  )
})

test('one peer cannot take the flows of another, even when the whole table is full', () => {
  const removed: number[] = []
  const table = new FlowTable<string, number>((value) => removed.push(value))
  for (let i = 0; i < maxFlows; i++) table.add(`peer ${i % 8}`, `${i}`, 0, () => i)
  assert.equal(table.size, maxFlows)
  assert.equal(
    table.add('latecomer', 'late', idleMs - 1, () => -1),
    undefined,
  )
  assert.equal(
    table.add('peer 3', 'more', replaceableAfterMs, () => -2),
    -2,
  )
  assert.deepEqual(removed, [3])
})
