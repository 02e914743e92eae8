// Cleanup in reverse order of setup, whatever fails in between.

export type Defer = (work: () => unknown) => void

/** A test, or anything else with an end. */
export type HasEnd = { readonly after: (work: () => Promise<void>) => unknown }

/** Runs all work at the end, in reverse order. The first failure is thrown after all have run. */
export function deferIn(context: HasEnd): Defer {
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
