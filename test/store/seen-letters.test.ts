import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SeenLetters } from '../../src/store/seen-letters.ts'
import { openMemory, userId } from './entries.ts'

const freshnessMs = 100
const futureToleranceMs = 10

function letterId(index: number): Uint8Array {
  return new Uint8Array(16).fill(index)
}

test('no letter is handled twice, with any capacity, order and clock', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.array(fc.record({ id: fc.nat(12), stepMs: fc.integer({ min: -200, max: 200 }) }), { maxLength: 80 }),
      (capacity, sequence) => {
        const database = openMemory()
        const seen = new SeenLetters(database, { freshnessMs, futureToleranceMs, capacity })
        const handled = new Set<number>()
        let now = 10_000
        for (const { id, stepMs } of sequence) {
          now += stepMs
          const sentAt = 10_000 + id * 7
          seen.forgetStale(now, 2)
          const stale = sentAt <= seen.forgottenUntil || now - sentAt > freshnessMs
          if (!stale && sentAt - now <= futureToleranceMs && seen.remember(userId(1), letterId(id), sentAt)) {
            assert.ok(!handled.has(id), `letter ${id} was handled twice`)
            handled.add(id)
          }
          assert.ok(seen.size <= capacity)
        }
        database.close()
      },
    ),
  )
})

test('the same letter ID of another sender is another letter', () => {
  const seen = new SeenLetters(openMemory(), { freshnessMs, futureToleranceMs, capacity: 5 })
  assert.ok(seen.remember(userId(1), letterId(1), 50))
  assert.ok(seen.remember(userId(2), letterId(1), 50))
  assert.ok(!seen.remember(userId(1), letterId(1), 50))
  assert.ok(seen.has(userId(1), letterId(1)))
  assert.ok(!seen.has(userId(3), letterId(1)))
})

test('a letter is stored as long as it is fresh', () => {
  const seen = new SeenLetters(openMemory(), { freshnessMs, futureToleranceMs, capacity: 5 })
  seen.remember(userId(1), letterId(1), 1_000)
  assert.equal(seen.forgetStale(1_109, 10), 0)
  assert.equal(seen.forgetStale(1_110, 10), 1)
  assert.equal(seen.forgottenUntil, 1_000)
})
