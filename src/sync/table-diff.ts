// How two hosts find out in few letters what one has and the other lacks (A13). All items stand at the leaves
// of a tree of 64 groups with 64 leaves each, by their key. Prints of groups are compared first; where they differ,
// prints of leaves; where these differ, the items themselves. When all is equal, one letter of half a kilobyte is all.

import type { Comparison } from '../letter/letter-types.ts'
import { limits } from '../letter/limits.ts'
import {
  decodeItems,
  decodeKeys,
  encodeItems,
  encodeKeys,
  groups,
  type Item,
  type ItemKey,
  leavesInGroup,
  printBytes,
} from './item-version.ts'

/** The table as it is compared. */
export interface ComparedTable {
  /** 64 prints. */
  groupPrints(): Uint8Array
  /** 64 prints. */
  leafPrints(group: number): Uint8Array
  /** How many items these leaves hold, both ends included. */
  count(first: number, last: number): number
  items(first: number, last: number, most: number): readonly Item[]
  /** Whatever is known of this user, also that it left. */
  find(key: ItemKey): Item | null
  /** Whether an item that is not in the table would be taken in if it came. */
  hasRoomFor(item: Item): boolean
  newest(most: number): readonly ItemKey[]
}

export type Answer = {
  /** Letters that go on with the comparison. */
  readonly comparisons: readonly Comparison[]
  /** Whose statements the other host shall get. */
  readonly send: readonly ItemKey[]
}

export const comparisonLimits = {
  /** Of a range that the other host told, so many of ours are held against it; the rest next time. */
  itemsCompared: 2_048,
  /** Letters in answer to one; the rest is found when the tables are compared again. */
  letters: 4,
  /** Sent to a host that has nothing. */
  newest: 1_000,
} as const

/** Nothing here trusts what it reads: whatever a host says, the answer is bounded. */
export function answer(table: ComparedTable, asked: Comparison): Answer {
  const send = new Set<ItemKey>()
  const want = new Set<ItemKey>()
  let comparisons: Comparison[] = []
  if (asked.groups) comparisons = tellLeaves(table, differences(asked.groups, table.groupPrints()))
  if (asked.leaves) {
    const differing = asked.leaves.flatMap(({ group, prints }) =>
      differences(prints, table.leafPrints(group)).map((leaf) => group * leavesInGroup + leaf),
    )
    comparisons.push(...tellItems(table, joined(differing)))
  }
  for (const range of asked.items ?? []) compareItems(table, range, send, want)
  for (const key of decodeKeys(asked.want ?? new Uint8Array()) ?? []) send.add(key)
  if (asked.newest) for (const key of table.newest(comparisonLimits.newest)) send.add(key)
  comparisons.push(...pieces([...want], limits.tableKeysAsked).map((keys) => ({ want: encodeKeys(keys) })))
  return { comparisons: comparisons.slice(0, comparisonLimits.letters), send: [...send] }
}

/** Where two rows of prints differ. */
function differences(a: Uint8Array, b: Uint8Array): number[] {
  return Array.from({ length: groups }, (_, index) => index).filter((index) => {
    for (let at = index * printBytes; at < (index + 1) * printBytes; at++) if (a[at] !== b[at]) return true
    return false
  })
}

/** Of few items the items are told at once: that saves a letter each way. */
function tellLeaves(table: ComparedTable, differing: readonly number[]): Comparison[] {
  const ranges = differing.map((group) => ({
    first: group * leavesInGroup,
    last: (group + 1) * leavesInGroup - 1,
  }))
  const items = ranges.reduce((sum, { first, last }) => sum + table.count(first, last), 0)
  if (items <= limits.tableItemsTold) return tellItems(table, ranges)
  return pieces(differing, limits.tableGroupsTold).map((some) => ({
    leaves: some.map((group) => ({ group, prints: table.leafPrints(group) })),
  }))
}

type Range = { readonly first: number; readonly last: number }

function tellItems(table: ComparedTable, ranges: readonly Range[]): Comparison[] {
  const letters: { first: number; last: number; items: Uint8Array }[][] = []
  let held = Infinity
  for (const { first, last } of ranges) {
    if (letters.length > comparisonLimits.letters) break
    // What is beyond is sent to us though we have it, which changes nothing.
    const items = table.items(first, last, limits.tableItemsTold)
    const letter = letters.at(-1)
    const isFull = letter === undefined || letter.length >= limits.tableRangesTold
    const range = { first, last, items: encodeItems(items) }
    if (isFull || held + items.length > limits.tableItemsTold) {
      letters.push([range])
      held = items.length
    } else {
      letter.push(range)
      held += items.length
    }
  }
  return letters.map((items) => ({ items }))
}

function joined(found: readonly number[]): Range[] {
  const ranges: { first: number; last: number }[] = []
  for (const leaf of [...found].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last && leaf === last.last + 1) last.last = leaf
    else ranges.push({ first: leaf, last: leaf })
  }
  return ranges
}

function compareItems(
  table: ComparedTable,
  { first, last, items }: NonNullable<Comparison['items']>[number],
  send: Set<ItemKey>,
  want: Set<ItemKey>,
): void {
  const theirs = new Map((decodeItems(items) ?? []).map((item) => [item.key, item]))
  for (const [key, their] of theirs) {
    const own = table.find(key)
    if (own === null) {
      if (table.hasRoomFor(their)) want.add(key)
    } else if (own.version === their.version) {
      if (own.flagged && !their.flagged) send.add(key)
      if (their.flagged && !own.flagged) want.add(key)
    } else if (own.version > their.version) send.add(key)
    else want.add(key)
  }
  for (const { key } of table.items(first, last, comparisonLimits.itemsCompared)) {
    if (!theirs.has(key)) send.add(key)
  }
}

function pieces<T>(list: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, index) =>
    list.slice(index * size, (index + 1) * size),
  )
}
