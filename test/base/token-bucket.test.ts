import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TokenBucket } from '../../src/base/token-bucket.ts'

test('in any time window no more tokens are taken than the burst and what flowed in, and readyAt is exact', () => {
  const rates = fc.record({
    burst: fc.integer({ min: 20, max: 200 }),
    perSecond: fc.integer({ min: 1, max: 500 }),
  })
  fc.assert(
    fc.property(
      rates,
      fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 1, max: 20 })), { maxLength: 80 }),
      (rate, steps) => {
        const bucket = new TokenBucket(0, rate)
        const taken: { at: number; count: number }[] = []
        let now = 0
        for (const [waitMs, count] of steps) {
          now += waitMs
          if (!bucket.tryTake(now, count)) {
            now = bucket.readyAt(count)
            assert.ok(bucket.tryTake(now, count), 'ready when it said so')
          }
          taken.push({ at: now, count })
        }
        for (const [from, { at: start }] of taken.entries()) {
          let sum = 0
          for (const { at, count } of taken.slice(from)) {
            sum += count
            assert.ok(sum <= rate.burst + ((at - start) * rate.perSecond) / 1_000 + 1e-6)
          }
        }
      },
    ),
  )
})

test('take may go below zero, and later callers wait until the bucket is filled again', () => {
  const bucket = new TokenBucket(0, { burst: 10, perSecond: 10 })
  bucket.take(0, 30)
  assert.equal(bucket.tryTake(2_000), false)
  assert.equal(bucket.readyAt(1), 2_100)
  assert.equal(bucket.tryTake(2_100), true)
})

test('a clock that steps back adds no tokens, and a refused tryTake takes none', () => {
  const bucket = new TokenBucket(1_000, { burst: 2, perSecond: 1 })
  assert.equal(bucket.tryTake(1_000, 3), false)
  assert.equal(bucket.tryTake(1_000, 2), true)
  assert.equal(bucket.tryTake(500), false)
  assert.equal(bucket.tryTake(2_000), true)
})
