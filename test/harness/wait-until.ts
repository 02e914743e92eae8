// Waits for a state without an event, such as that of a file.

import { setTimeout as sleep } from 'node:timers/promises'

const pollMs = 100

/** Rejects with the text of `describe` when the condition does not hold in time. */
export async function waitUntil(
  condition: () => boolean,
  describe: () => string,
  withinMs: number,
): Promise<void> {
  const end = performance.now() + withinMs
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${withinMs / 1000} s: ${describe()}`)
    await sleep(pollMs)
  }
}
