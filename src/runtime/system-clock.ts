// The real clock. Nothing else in the product reads the time.

import { performance } from 'node:perf_hooks'
import type { Clock } from '../base/clock.ts'

/** setTimeout fires at once beyond this. */
const longestTimerMs = 2 ** 31 - 1

/** A timer that fires later than this was kept waiting: by other programs, by ourselves, or by sleep. */
const stallMs = 10

export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after(delayMs, callback) {
    // Rounded up: a timer that fires a fraction early finds nothing due and must be set again.
    const waitMs = Math.min(Math.max(0, Math.ceil(delayMs)), longestTimerMs)
    const dueAt = performance.now() + waitMs
    let immediate: NodeJS.Immediate | undefined
    const timer = setTimeout(() => {
      // After a stall Node runs timers before it reads what has arrived meanwhile: without this they would find that no
      // answer came. Immediates run after the reading.
      if (performance.now() - dueAt > stallMs) immediate = setImmediate(callback)
      else callback()
    }, waitMs)
    return () => {
      clearTimeout(timer)
      clearImmediate(immediate)
    }
  },
}
