import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorrectedClock } from '../../src/agent/letters/wall-clock-correction.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

function makeTime() {
  const clock = new VirtualClock()
  const time = new CorrectedClock(clock)
  /** True time runs like `clock.now()`. `errorMs` is the error of the time in a request. */
  const trueStart = clock.wallNow() - clock.now()
  const errorMs = () => time.wallNow() - trueStart - clock.now()
  const sendRequest = () => {
    const now = clock.now()
    time.noteRequest(now, time.wallNow())
    return now
  }
  return { clock, time, errorMs, sendRequest }
}

test('before a host has answered, letters have the time of the wall clock', () => {
  const { clock, time, sendRequest } = makeTime()
  for (const byMs of [dayMs, -3 * dayMs, hourMs]) {
    clock.jumpWall(byMs)
    sendRequest()
    time.noteNoReply()
    assert.equal(time.wallNow(), clock.wallNow())
  }
})

for (const [name, byMs] of [
  ['half an hour', -hourMs / 2],
  ['a day', -dayMs],
  ['a year', -365 * dayMs],
] as const) {
  test(`when the clock is set back ${name} after a reply, the time in letters continues and never goes back`, async () => {
    const { clock, time, errorMs, sendRequest } = makeTime()
    const first = sendRequest()
    time.noteReply(first)
    await clock.advance(1_000)
    const before = time.wallNow()
    clock.jumpWall(byMs)
    assert.equal(errorMs(), 0)
    assert.ok(time.wallNow() >= before)
    sendRequest()
    // While no reply comes, the clock may have been wrong before the change.
    time.noteNoReply()
    assert.equal(errorMs(), byMs)
    const tried = sendRequest()
    time.noteReply(tried)
    assert.equal(errorMs(), byMs)
  })
}

test('when the clock is set forward after a reply, it is trusted, but the elapsed time is tried while no reply comes', async () => {
  const { clock, time, errorMs, sendRequest } = makeTime()
  time.noteReply(sendRequest())
  clock.jumpWall(dayMs)
  assert.equal(errorMs(), dayMs)
  sendRequest()
  time.noteNoReply()
  assert.equal(errorMs(), 0)
  await clock.advance(60_000)
  time.noteReply(sendRequest())
  clock.jumpWall(-dayMs)
  assert.equal(errorMs(), 0)
})
