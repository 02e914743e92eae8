import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keepaliveIntervalMs } from '../../src/nat/keepalive-interval.ts'

test('a mapping is refreshed after four fifths of its lifetime, within the bounds', () => {
  const bounds = { leastMs: 2_000, mostMs: 25_000 }
  assert.equal(keepaliveIntervalMs(20_000, bounds), 16_000)
  assert.equal(keepaliveIntervalMs(1_000, bounds), 2_000)
  assert.equal(keepaliveIntervalMs(120_000, bounds), 25_000)
})

test('while the lifetime is unknown, the shortest one in the field is assumed', () => {
  assert.equal(keepaliveIntervalMs(null, { leastMs: 2_000, mostMs: 25_000 }), 8_000)
})

test('the interval is never longer than the upper bound, with or without a known lifetime', () => {
  const bounds = { leastMs: 1_000, mostMs: 500 }
  assert.equal(keepaliveIntervalMs(null, bounds), 500)
  assert.equal(keepaliveIntervalMs(600, bounds), 500)
})
