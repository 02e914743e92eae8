// A wait with a grace time: for work that may never end.

import type { Clock } from './clock.ts'

/** Resolves when `work` has ended, well or not, or after `graceMs`. */
export function waitAtMost(clock: Clock, graceMs: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      cancel()
      resolve()
    }
    const cancel = clock.after(graceMs, finish)
    work.then(finish, finish)
  })
}
