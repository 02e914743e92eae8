import assert from 'node:assert/strict'
import { test } from 'node:test'
import { waitAtMost } from '../../src/base/wait.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

test('work is waited for until it ends, well or not, and no timer is left', async () => {
  const clock = new VirtualClock()
  await waitAtMost(clock, 1_000, Promise.resolve())
  await waitAtMost(clock, 1_000, Promise.reject(new Error('it failed')))
  assert.equal(clock.now(), new VirtualClock().now())
  assert.equal(clock.pendingTimers, 0)
})

test('work that does not end is waited for as long as was said', async () => {
  const clock = new VirtualClock()
  let isOver = false
  void waitAtMost(clock, 1_000, new Promise(() => {})).then(() => {
    isOver = true
  })
  await clock.advance(999)
  assert.equal(isOver, false)
  await clock.advance(1)
  assert.equal(isOver, true)
})
