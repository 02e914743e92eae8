import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitAtMost } from '../../src/base/grace-time.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

test('waiting is over with the work, also when it fails, and no timer stays behind', async () => {
  const clock = new VirtualClock()
  await waitAtMost(clock, 1_000, Promise.resolve())
  await waitAtMost(clock, 1_000, Promise.reject(new Error('refused')))
  assert.equal(clock.pendingTimers, 0)
})

test('waiting is over when the time is, whatever the work does', async () => {
  const clock = new VirtualClock()
  let isOver = false
  const waiting = waitAtMost(clock, 1_000, new Promise(() => {})).then(() => {
    isOver = true
  })
  await clock.advance(999)
  assert.equal(isOver, false)
  await clock.advance(1)
  await waiting
  assert.equal(isOver, true)
})
