// Loaded before a program (`node --import`), this makes its clock leap, as a computer's does that slept: to as many
// milliseconds ahead as the file CLOCK_AHEAD_FILE says, at the start and whenever SIGUSR2 comes. What libraries and the
// system time by themselves is not changed.

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
