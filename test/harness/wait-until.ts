// Waiting for what no event tells, such as the state of a file.

import { setTimeout as sleep } from 'node:timers/promises'

const lookEveryMs = 100

/** Rejects with what `story` says when the condition does not come to hold in time. */
export async function waitUntil(
  condition: () => boolean,
  story: () => string,
  withinMs: number,
): Promise<void> {
  const end = performance.now() + withinMs
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${withinMs / 1000} s: ${story()}`)
    await sleep(lookEveryMs)
  }
}
