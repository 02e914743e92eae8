// The real clock. No other file reads the time.

import { performance } from 'node:perf_hooks'
import type { Clock } from '../base/clock.ts'

/** With a longer delay setTimeout fires at once. */
const longestTimerMs = 2 ** 31 - 1

/** A timer that fires later than this was delayed by a stall: the machine slept, or the process was busy. */
const stallMs = 10

export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after(delayMs, callback) {
    // Rounded up: a timer that fires slightly early finds nothing due and must be set again.
    const waitMs = Math.min(Math.max(0, Math.ceil(delayMs)), longestTimerMs)
    const dueAt = performance.now() + waitMs
    let immediate: NodeJS.Immediate | undefined
    const timer = setTimeout(() => {
      // After a stall Node runs timers before it reads what has arrived. The timer would wrongly conclude that no
      // answer came. An immediate runs after the reading.
      if (performance.now() - dueAt > stallMs) immediate = setImmediate(callback)
      else callback()
    }, waitMs)
    return () => {
      clearTimeout(timer)
      clearImmediate(immediate)
    }
  },
}
