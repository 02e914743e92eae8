// When requests go to the hosts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestScheduler } from '../../src/agent/letters/request-scheduler.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const hourMs = 3_600_000

function makeScheduler() {
  const clock = new VirtualClock()
  const requests: number[] = []
  const unanswered: number[] = []
  const requestScheduler = new RequestScheduler({
    clock,
    retryMs: 60_000,
    sendRequest: () => requests.push(clock.now() / 1_000),
    onNoReply: (sinceRequestMs) => unanswered.push(sinceRequestMs / 1_000),
  })
  return { clock, requests, unanswered, requestScheduler }
}

test('without a reply the request is repeated after 1, 2, 4, 8 and then every 10 minutes', async () => {
  const { clock, requests, unanswered, requestScheduler } = makeScheduler()
  requestScheduler.start()
  await clock.advance(40 * 60_000)
  assert.deepEqual(requests, [0, 60, 180, 420, 900, 1500, 2100])
  assert.deepEqual(unanswered, [60, 120, 240, 480, 600, 600])
})

test('after a reply the next request goes out after half of the lifetime of the entry', async () => {
  const { clock, requests, unanswered, requestScheduler } = makeScheduler()
  requestScheduler.start()
  await clock.advance(2_000)
  requestScheduler.handleReply(12 * hourMs, true)
  await clock.advance(6 * hourMs)
  assert.deepEqual(requests, [0, 21_602])
  assert.deepEqual(unanswered, [])
})

test('when a host says that the entry expires at once, a request goes out every minute and not more often', async () => {
  const { clock, requests, requestScheduler } = makeScheduler()
  requestScheduler.start()
  for (let minute = 0; minute < 5; minute++) {
    requestScheduler.handleReply(0, true)
    await clock.advance(60_000)
  }
  assert.deepEqual(requests, [0, 60, 120, 180, 240, 300])
})

test('a change leads to a request at once, but never within 15 s of the last one', async () => {
  const { clock, requests, requestScheduler } = makeScheduler()
  requestScheduler.start()
  requestScheduler.handleReply(12 * hourMs, true)
  await clock.advance(5_000)
  requestScheduler.requestSoon()
  requestScheduler.requestSoon()
  await clock.advance(60_000 - 5_000)
  assert.deepEqual(requests, [0, 15])
  requestScheduler.requestSoon()
  await clock.advance(0)
  assert.deepEqual(requests, [0, 15, 60])
})

test('a reply to a request from before a change does not delay the request for the change', async () => {
  const { clock, requests, requestScheduler } = makeScheduler()
  requestScheduler.start()
  await clock.advance(5_000)
  requestScheduler.requestSoon()
  requestScheduler.handleReply(12 * hourMs, true)
  await clock.advance(60_000)
  assert.deepEqual(requests.slice(0, 2), [0, 15])
})

test('a reply to an older request leaves the newest one unanswered', async () => {
  const { clock, requests, requestScheduler } = makeScheduler()
  requestScheduler.start()
  await clock.advance(60_000)
  requestScheduler.handleReply(12 * hourMs, false)
  await clock.advance(120_000)
  assert.deepEqual(requests, [0, 60, 180])
})

test('a change before the start is part of the first request', async () => {
  const { clock, requests, requestScheduler } = makeScheduler()
  requestScheduler.requestSoon()
  await clock.advance(1_000)
  requestScheduler.start()
  await clock.advance(59_000)
  assert.deepEqual(requests, [1])
})

test('after a decline no request goes out until the time is over, even after a change', async () => {
  const { clock, requests, requestScheduler } = makeScheduler()
  requestScheduler.start()
  await clock.advance(5_000)
  requestScheduler.handleDecline(360_000)
  requestScheduler.requestSoon()
  await clock.advance(359_000)
  assert.deepEqual(requests, [0])
  await clock.advance(1_000)
  assert.deepEqual(requests, [0, 365])
})

test('a reply of another host ends the wait, and no host can make it endless', async () => {
  const { clock, requests, requestScheduler } = makeScheduler()
  requestScheduler.start()
  requestScheduler.handleDecline(1_000 * hourMs)
  requestScheduler.handleReply(12 * hourMs, true)
  requestScheduler.requestSoon()
  await clock.advance(15_000)
  assert.deepEqual(requests, [0, 15])
  requestScheduler.handleDecline(1_000 * hourMs)
  await clock.advance(24 * hourMs)
  assert.deepEqual(requests, [0, 15, 15 + 24 * 3_600])
})

test('once stopped, no request goes out and no timer is left', async () => {
  const { clock, requests, requestScheduler } = makeScheduler()
  requestScheduler.start()
  requestScheduler.requestSoon()
  requestScheduler.stop()
  requestScheduler.handleReply(hourMs, true)
  requestScheduler.requestSoon()
  requestScheduler.start()
  assert.equal(clock.pendingTimers, 0)
  await clock.advance(hourMs)
  assert.deepEqual(requests, [0])
})
