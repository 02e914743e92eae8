import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { alternately, fairOrder, manyWaiting } from '../../src/base/fair-order.ts'

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index)

test('few items keep their order, and so do many when the newest may not come first', () => {
  assert.deepEqual([...fairOrder(numbers(manyWaiting), () => true)], numbers(manyWaiting))
  for (const mayTakeNewest of [undefined, () => false])
    assert.deepEqual([...fairOrder(numbers(1_000), mayTakeNewest)], numbers(1_000))
})

test('of many items the newest come first, and every fourth is the oldest', () => {
  assert.deepEqual(
    [...fairOrder(numbers(1_000), () => true)].slice(0, 9),
    [999, 998, 997, 0, 996, 995, 994, 1, 993],
  )
})

test('every item comes exactly once, whatever their number', () => {
  fc.assert(
    fc.property(fc.nat(2_000), (count) => {
      const taken = [...alternately(numbers(count))]
      assert.deepEqual(
        taken.toSorted((a, b) => a - b),
        numbers(count),
      )
    }),
  )
})
