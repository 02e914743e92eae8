import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorrectedClock } from '../../src/agent/letters/wall-clock-correction.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

function makeTime() {
  const clock = new VirtualClock()
  const time = new CorrectedClock(clock)
  /** What a request bears more than the true time, which passes as `clock.now()` does. */
  const trueStart = clock.wallNow() - clock.now()
  const errorMs = () => time.wallNow() - trueStart - clock.now()
  const ask = () => {
    const now = clock.now()
    time.noteRequest(now, time.wallNow())
    return now
  }
  return { clock, time, errorMs, ask }
}

test('before a host has answered letters bear what the clock shows', () => {
  const { clock, time, ask } = makeTime()
  for (const byMs of [dayMs, -3 * dayMs, hourMs]) {
    clock.jumpWall(byMs)
    ask()
    time.noteNoReply()
    assert.equal(time.wallNow(), clock.wallNow())
  }
})

for (const [name, byMs] of [
  ['half an hour', -hourMs / 2],
  ['a day', -dayMs],
  ['a year', -365 * dayMs],
] as const) {
  test(`set back ${name} since an answer, time goes on as it did, and never back`, async () => {
    const { clock, time, errorMs, ask } = makeTime()
    const first = ask()
    time.noteReply(first)
    await clock.advance(1_000)
    const before = time.wallNow()
    clock.jumpWall(byMs)
    assert.equal(errorMs(), 0)
    assert.ok(time.wallNow() >= before)
    ask()
    // Unless nobody answers any more: then the clock may have been wrong before.
    time.noteNoReply()
    assert.equal(errorMs(), byMs)
    const tried = ask()
    time.noteReply(tried)
    assert.equal(errorMs(), byMs)
  })
}

test('set forward since an answer, as after a sleep, the clock is believed, but what was counted is tried when nobody answers', async () => {
  const { clock, time, errorMs, ask } = makeTime()
  time.noteReply(ask())
  clock.jumpWall(dayMs)
  assert.equal(errorMs(), dayMs)
  ask()
  time.noteNoReply()
  assert.equal(errorMs(), 0)
  await clock.advance(60_000)
  time.noteReply(ask())
  clock.jumpWall(-dayMs)
  assert.equal(errorMs(), 0)
})
