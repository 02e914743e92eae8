// Loaded before a program (`node --import`), this makes its clock jump, as after a sleep. The clock is ahead by
// the milliseconds in the file CLOCK_AHEAD_FILE, read at the start and at every SIGUSR2. Timers of libraries
// and of the system do not change.

import { readFileSync } from 'node:fs'
import { systemClock } from '../../src/runtime/system-clock.ts'

type Timer = { readonly at: number; readonly callback: () => void; cancel: () => void }

const { now, wallNow, after } = systemClock
const timers = new Set<Timer>()
let ahead = readAhead()

function readAhead(): number {
  return Number(readFileSync(process.env.CLOCK_AHEAD_FILE ?? '', 'utf8'))
}

function arm(timer: Timer): void {
  timer.cancel = after(timer.at - systemClock.now(), () => {
    timers.delete(timer)
    timer.callback()
  })
}

Object.assign(systemClock, {
  now: () => now() + ahead,
  wallNow: () => wallNow() + ahead,
  after(delayMs: number, callback: () => void) {
    const timer: Timer = { at: systemClock.now() + delayMs, callback, cancel: () => {} }
    timers.add(timer)
    arm(timer)
    return () => {
      timers.delete(timer)
      timer.cancel()
    }
  },
} satisfies typeof systemClock)

process.on('SIGUSR2', () => {
  ahead = readAhead()
  for (const timer of [...timers]) {
    timer.cancel()
    arm(timer)
  }
})
