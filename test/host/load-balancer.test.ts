import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LoadBalancer } from '../../src/host/representative/load-balancer.ts'

const ids = ['a', 'b', 'c']
const always = () => true

test('letters of new senders are shared evenly, whatever earlier senders did', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...ids), { maxLength: 60 }), (heavy) => {
      const balancer = new LoadBalancer(ids, 0)
      const loads = new Map(ids.map((id) => [id, 0]))
      const give = (id: string) => {
        balancer.noteLetter(0, id)
        loads.set(id, (loads.get(id) ?? 0) + 1)
      }
      for (const id of heavy) give(balancer.choose(0, id, always) ?? '')
      for (let letter = 0; letter < 200; letter++) give(balancer.choose(0, null, always) ?? '')
      const counts = [...loads.values()]
      assert.ok(Math.max(...counts) - Math.min(...counts) <= 1)
    }),
  )
})

test('a sender keeps its worker exactly as long as that worker is alive', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...ids),
      fc.subarray(ids),
      fc.subarray(ids),
      (previous, silent, unreachable) => {
        const balancer = new LoadBalancer(ids, 0)
        for (const id of silent) assert.ok(balancer.noteSilence(1_000, id, 1_000))
        const isDead = (id: string) => silent.includes(id) || unreachable.includes(id)
        const chosen = balancer.choose(1_000, previous, (id) => !unreachable.includes(id)) ?? ''
        if (!isDead(previous) || ids.every(isDead)) assert.equal(chosen, previous)
        else assert.ok(!isDead(chosen))
      },
    ),
  )
})

test('a worker that sent a sign of life is not silent, and a silent one is alive again after the next sign of life', () => {
  const balancer = new LoadBalancer(ids, 0)
  balancer.noteSignOfLife(900, 'a')
  assert.equal(balancer.noteSilence(1_000, 'a', 1_000), false)
  assert.equal(balancer.noteSilence(1_900, 'a', 1_000), true)
  assert.notEqual(balancer.choose(1_900, 'a', always), 'a')
  balancer.noteSignOfLife(2_000, 'a')
  assert.equal(balancer.choose(2_000, 'a', always), 'a')
})

test('old letters count less and less in the load', () => {
  const balancer = new LoadBalancer(['a', 'b'], 0)
  for (let letter = 0; letter < 100; letter++) balancer.noteLetter(0, 'a')
  const twoHours = 7_200_000
  balancer.noteLetter(twoHours, 'b')
  assert.equal(balancer.choose(twoHours, null, always), 'a')
})

test('without workers none is chosen', () => {
  assert.equal(new LoadBalancer([], 0).choose(0, null, always), null)
})
