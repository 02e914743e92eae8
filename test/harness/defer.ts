// Cleaning up in the opposite order of making, whatever happened in between.

import type { TestContext } from 'node:test'

export type Defer = (work: () => unknown) => void

/** Every piece of work runs at the test's end, the last first; the first failure is told after all have run. */
export function deferIn(context: TestContext): Defer {
  const works: (() => unknown)[] = []
  context.after(async () => {
    const failures: unknown[] = []
    for (const work of works.reverse()) {
      try {
        await work()
      } catch (thrown) {
        failures.push(thrown)
      }
    }
    if (failures.length > 0) throw failures[0]
  })
  return (work) => void works.push(work)
}
