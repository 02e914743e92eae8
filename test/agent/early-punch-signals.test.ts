import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  EarlyPunchSignals,
  keepSignalsMs,
  maxKeptSignals,
} from '../../src/agent/letters/early-punch-signals.ts'

function box(tag: number, byte: number): Uint8Array {
  return Uint8Array.from({ length: 60 }, (_, index) => (index < 8 ? tag : byte))
}

function tagOf(tag: number): Uint8Array {
  return new Uint8Array(8).fill(tag)
}

test('signals are kept for their attempt, in order of arrival, and are returned once', () => {
  const earlyPunchSignals = new EarlyPunchSignals()
  earlyPunchSignals.put(box(1, 10), 0)
  earlyPunchSignals.put(box(2, 20), 1)
  earlyPunchSignals.put(box(1, 11), 2)
  assert.deepEqual(earlyPunchSignals.take(tagOf(1), 3), [box(1, 10), box(1, 11)])
  assert.deepEqual(earlyPunchSignals.take(tagOf(1), 3), [])
  assert.deepEqual(earlyPunchSignals.take(tagOf(2), 3), [box(2, 20)])
})

test('a signal is dropped when its attempt does not start in time', () => {
  const earlyPunchSignals = new EarlyPunchSignals()
  earlyPunchSignals.put(box(1, 10), 0)
  assert.deepEqual(earlyPunchSignals.take(tagOf(1), keepSignalsMs), [])
})

test('only the latest signals are kept, up to the limit', () => {
  const earlyPunchSignals = new EarlyPunchSignals()
  for (let byte = 0; byte < maxKeptSignals + 3; byte++) earlyPunchSignals.put(box(1, byte), 0)
  const taken = earlyPunchSignals.take(tagOf(1), 1)
  assert.equal(taken.length, maxKeptSignals)
  assert.deepEqual(taken[0], box(1, 3))
})

test('bytes too short or too long for a signal are not kept', () => {
  const earlyPunchSignals = new EarlyPunchSignals()
  earlyPunchSignals.put(new Uint8Array(32).fill(1), 0)
  earlyPunchSignals.put(new Uint8Array(8_193).fill(1), 0)
  assert.deepEqual(earlyPunchSignals.take(tagOf(1), 1), [])
})
