// Waiting for somebody else's answer, but not for ever.

import type { Clock } from './clock.ts'

/** Resolves when the work is over, well or not, or after `limitMs`. Never rejects. */
export function waitAtMost(clock: Clock, limitMs: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(limitMs, resolve)
    const finish = () => {
      cancel()
      resolve()
    }
    work.then(finish, finish)
  })
}
