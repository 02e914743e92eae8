import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keepaliveIntervalMs } from '../../src/nat/keepalive-interval.ts'

test('a mapping is refreshed when four fifths of its lifetime are over, within the bounds', () => {
  const bounds = { leastMs: 2_000, mostMs: 25_000 }
  assert.equal(keepaliveIntervalMs(20_000, bounds), 16_000)
  assert.equal(keepaliveIntervalMs(1_000, bounds), 2_000)
  assert.equal(keepaliveIntervalMs(120_000, bounds), 25_000)
})

test('while nobody knows the lifetime, the shortest one in the field is assumed', () => {
  assert.equal(keepaliveIntervalMs(null, { leastMs: 2_000, mostMs: 25_000 }), 8_000)
})

test('no interval is longer than asked for, known lifetime or not', () => {
  const bounds = { leastMs: 1_000, mostMs: 500 }
  assert.equal(keepaliveIntervalMs(null, bounds), 500)
  assert.equal(keepaliveIntervalMs(600, bounds), 500)
})
