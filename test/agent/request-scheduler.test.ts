// When the host is asked.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestScheduler } from '../../src/agent/letters/request-scheduler.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const hourMs = 3_600_000

function makeEnquiry() {
  const clock = new VirtualClock()
  const asked: number[] = []
  const unanswered: number[] = []
  const requestScheduler = new RequestScheduler({
    clock,
    retryMs: 60_000,
    sendRequest: () => asked.push(clock.now() / 1_000),
    onNoReply: (sinceRequestMs) => unanswered.push(sinceRequestMs / 1_000),
  })
  return { clock, asked, unanswered, requestScheduler }
}

test('without an answer it is asked again after 1, 2, 4, 8 and then every 10 minutes', async () => {
  const { clock, asked, unanswered, requestScheduler } = makeEnquiry()
  requestScheduler.start()
  await clock.advance(40 * 60_000)
  assert.deepEqual(asked, [0, 60, 180, 420, 900, 1500, 2100])
  assert.deepEqual(unanswered, [60, 120, 240, 480, 600, 600])
})

test('after an answer it is asked again when half of the entry’s life is over', async () => {
  const { clock, asked, unanswered, requestScheduler } = makeEnquiry()
  requestScheduler.start()
  await clock.advance(2_000)
  requestScheduler.handleReply(12 * hourMs, true)
  await clock.advance(6 * hourMs)
  assert.deepEqual(asked, [0, 21_602])
  assert.deepEqual(unanswered, [])
})

test('a host that says an entry expires at once is asked every minute, not more', async () => {
  const { clock, asked, requestScheduler } = makeEnquiry()
  requestScheduler.start()
  for (let minute = 0; minute < 5; minute++) {
    requestScheduler.handleReply(0, true)
    await clock.advance(60_000)
  }
  assert.deepEqual(asked, [0, 60, 120, 180, 240, 300])
})

test('news is told at once, but never within 15 s of the last request', async () => {
  const { clock, asked, requestScheduler } = makeEnquiry()
  requestScheduler.start()
  requestScheduler.handleReply(12 * hourMs, true)
  await clock.advance(5_000)
  requestScheduler.requestSoon()
  requestScheduler.requestSoon()
  await clock.advance(60_000 - 5_000)
  assert.deepEqual(asked, [0, 15])
  requestScheduler.requestSoon()
  await clock.advance(0)
  assert.deepEqual(asked, [0, 15, 60])
})

test('an answer to a request that came before the news does not put the news off', async () => {
  const { clock, asked, requestScheduler } = makeEnquiry()
  requestScheduler.start()
  await clock.advance(5_000)
  requestScheduler.requestSoon()
  requestScheduler.handleReply(12 * hourMs, true)
  await clock.advance(60_000)
  assert.deepEqual(asked.slice(0, 2), [0, 15])
})

test('an answer to an older request leaves the newest one unanswered', async () => {
  const { clock, asked, requestScheduler } = makeEnquiry()
  requestScheduler.start()
  await clock.advance(60_000)
  requestScheduler.handleReply(12 * hourMs, false)
  await clock.advance(120_000)
  assert.deepEqual(asked, [0, 60, 180])
})

test('news before the start is part of the first request', async () => {
  const { clock, asked, requestScheduler } = makeEnquiry()
  requestScheduler.requestSoon()
  await clock.advance(1_000)
  requestScheduler.start()
  await clock.advance(59_000)
  assert.deepEqual(asked, [1])
})

test('whom the host declines asks nothing until the time is over, whatever happens meanwhile', async () => {
  const { clock, asked, requestScheduler } = makeEnquiry()
  requestScheduler.start()
  await clock.advance(5_000)
  requestScheduler.handleDecline(360_000)
  requestScheduler.requestSoon()
  await clock.advance(359_000)
  assert.deepEqual(asked, [0])
  await clock.advance(1_000)
  assert.deepEqual(asked, [0, 365])
})

test('an answer of another host ends the waiting, and no host can make it endless', async () => {
  const { clock, asked, requestScheduler } = makeEnquiry()
  requestScheduler.start()
  requestScheduler.handleDecline(1_000 * hourMs)
  requestScheduler.handleReply(12 * hourMs, true)
  requestScheduler.requestSoon()
  await clock.advance(15_000)
  assert.deepEqual(asked, [0, 15])
  requestScheduler.handleDecline(1_000 * hourMs)
  await clock.advance(24 * hourMs)
  assert.deepEqual(asked, [0, 15, 15 + 24 * 3_600])
})

test('once stopped nothing is asked, and no timer is left', async () => {
  const { clock, asked, requestScheduler } = makeEnquiry()
  requestScheduler.start()
  requestScheduler.requestSoon()
  requestScheduler.stop()
  requestScheduler.handleReply(hourMs, true)
  requestScheduler.requestSoon()
  requestScheduler.start()
  assert.equal(clock.pendingTimers, 0)
  await clock.advance(hourMs)
  assert.deepEqual(asked, [0])
})
