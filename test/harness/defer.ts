// Cleaning up in the opposite order of making, whatever happened in between.

export type Defer = (work: () => unknown) => void

/** A test, or who else ends some time. */
export type Ending = { readonly after: (work: () => Promise<void>) => unknown }

/** Every piece of work runs at the end, the last first; the first failure is told after all have run. */
export function deferIn(context: Ending): Defer {
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
