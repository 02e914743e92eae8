// In which order what waits is taken. The oldest first is fair while little waits. Behind a long backlog whoever comes now
// would wait for all of it, and would have given up by then, as most of the backlog has already: so the newest come first
// there, and every fourth time the oldest, so that none waits for ever.

/** Up to so many keep their order: they are done within seconds. */
export const manyWaiting = 200

const newestInARow = 3

/** Whether, of so many that wait, the newest may come before the oldest. */
export type MayTakeNewest = (waiting: number) => boolean

/** All of them, `oldestFirst` as they are where they are few or may not change places. */
export function fairOrder<T>(oldestFirst: readonly T[], mayTakeNewest?: MayTakeNewest): Iterable<T> {
  const { length } = oldestFirst
  return length > manyWaiting && mayTakeNewest?.(length) ? alternately(oldestFirst) : oldestFirst
}

/** Beginning with the newest. */
export function* alternately<T>(oldestFirst: readonly T[]): Generator<T> {
  let first = 0
  let last = oldestFirst.length - 1
  for (let turn = 1; first <= last; turn++) {
    const at = turn % (newestInARow + 1) === 0 ? first++ : last--
    yield oldestFirst[at] as T
  }
}
