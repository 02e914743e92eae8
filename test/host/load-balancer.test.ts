import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LoadBalancer } from '../../src/host/representative/load-balancer.ts'

const ids = ['a', 'b', 'c']
const always = () => true

test('letters of new senders go round evenly, whatever the senders before them did', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...ids), { maxLength: 60 }), (heavy) => {
      const choice = new LoadBalancer(ids, 0)
      const loads = new Map(ids.map((id) => [id, 0]))
      const give = (id: string) => {
        choice.noteLetter(0, id)
        loads.set(id, (loads.get(id) ?? 0) + 1)
      }
      for (const id of heavy) give(choice.choose(0, id, always) ?? '')
      for (let letter = 0; letter < 200; letter++) give(choice.choose(0, null, always) ?? '')
      const counts = [...loads.values()]
      assert.ok(Math.max(...counts) - Math.min(...counts) <= 1)
    }),
  )
})

test('a sender keeps its worker as long as that lives, and only so long', () => {
  fc.assert(
    fc.property(fc.constantFrom(...ids), fc.subarray(ids), fc.subarray(ids), (had, silent, unreachable) => {
      const choice = new LoadBalancer(ids, 0)
      for (const id of silent) assert.ok(choice.noteSilence(1_000, id, 1_000))
      const isDead = (id: string) => silent.includes(id) || unreachable.includes(id)
      const chosen = choice.choose(1_000, had, (id) => !unreachable.includes(id)) ?? ''
      if (!isDead(had) || ids.every(isDead)) assert.equal(chosen, had)
      else assert.ok(!isDead(chosen))
    }),
  )
})

test('a worker that was heard meanwhile is not silent, and a silent one that is heard lives again', () => {
  const choice = new LoadBalancer(ids, 0)
  choice.noteSignOfLife(900, 'a')
  assert.equal(choice.noteSilence(1_000, 'a', 1_000), false)
  assert.equal(choice.noteSilence(1_900, 'a', 1_000), true)
  assert.notEqual(choice.choose(1_900, 'a', always), 'a')
  choice.noteSignOfLife(2_000, 'a')
  assert.equal(choice.choose(2_000, 'a', always), 'a')
})

test('letters of long ago do not count for ever', () => {
  const choice = new LoadBalancer(['a', 'b'], 0)
  for (let letter = 0; letter < 100; letter++) choice.noteLetter(0, 'a')
  const twoHours = 7_200_000
  choice.noteLetter(twoHours, 'b')
  assert.equal(choice.choose(twoHours, null, always), 'a')
})

test('without workers nobody is chosen', () => {
  assert.equal(new LoadBalancer([], 0).choose(0, null, always), null)
})
