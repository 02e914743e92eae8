// The order in which waiting items are handled. While few wait, the oldest comes first. Behind a long backlog a new
// sender would give up before its turn, and most of the backlog has given up already. So there the newest come first.
// Every fourth item is the oldest, so that no item waits for ever.

/** Up to this many items the oldest comes first: they are handled within seconds. */
export const manyWaiting = 200

const newestInARow = 3

/** Whether the newest may come before the oldest when this many wait. */
export type MayTakeNewest = (waiting: number) => boolean

/** Returns all items. Their order changes only if many wait and `mayTakeNewest` allows it. */
export function fairOrder<T>(oldestFirst: readonly T[], mayTakeNewest?: MayTakeNewest): Iterable<T> {
  const { length } = oldestFirst
  return length > manyWaiting && mayTakeNewest?.(length) ? alternately(oldestFirst) : oldestFirst
}

/** Three of the newest, then the oldest, and so on. */
export function* alternately<T>(oldestFirst: readonly T[]): Generator<T> {
  let first = 0
  let last = oldestFirst.length - 1
  for (let index = 1; first <= last; index++) {
    const at = index % (newestInARow + 1) === 0 ? first++ : last--
    yield oldestFirst[at] as T
  }
}
