// The real clock. Nothing else in the product reads the time.

import { performance } from 'node:perf_hooks'
import type { Clock } from '../base/clock.ts'

/** setTimeout fires at once beyond this. */
const longestTimerMs = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after(delayMs, callback) {
    // Rounded up: a timer that fires a fraction early finds nothing due and must be set again.
    const timer = setTimeout(callback, Math.min(Math.max(0, Math.ceil(delayMs)), longestTimerMs))
    return () => clearTimeout(timer)
  },
}
