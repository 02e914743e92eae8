import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorrectedClock } from '../../src/agent/letters/wall-clock-correction.ts'

test('letters have whole milliseconds, though monotonic clocks have fractions', () => {
  let now = 1_000.4
  const clock = { now: () => now, wallNow: () => 1_700_000_000_000 + Math.floor(now), after: () => () => {} }
  const time = new CorrectedClock(clock)
  for (let step = 0; step < 100; step++) {
    const sentAt = time.wallNow()
    assert.ok(Number.isInteger(sentAt), String(sentAt))
    time.noteRequest(now, sentAt)
    time.noteReply(now)
    now += 17.37
  }
})
