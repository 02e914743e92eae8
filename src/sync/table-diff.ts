// Two hosts find in few letters how their tables differ (A13). Each item belongs by its key to a leaf of a hash tree: 64
// groups of 64 leaves each. The hosts compare the hashes of the groups, then the hashes of the leaves of groups that differ,
// then the items of leaves that differ. If the tables are equal, one letter of half a kilobyte is enough.

import { chunksOf } from '../base/list-chunks.ts'
import type { Comparison } from '../letter/letter-types.ts'
import { limits } from '../letter/limits.ts'
import {
  decodeItems,
  decodeKeys,
  encodeItems,
  encodeKeys,
  groups,
  hashBytes,
  type Item,
  type ItemKey,
  leavesInGroup,
} from './item-version.ts'

/** What a comparison needs of a table. */
export interface ComparedTable {
  /** 64 hashes. */
  groupHashes(): Uint8Array
  /** 64 hashes. */
  leafHashes(group: number): Uint8Array
  /** How many items are in the leaves from `first` to `last`. */
  count(first: number, last: number): number
  items(first: number, last: number, most: number): readonly Item[]
  /** The item of this user, also of one that left. */
  find(key: ItemKey): Item | null
  /** Whether the table would accept this item, which it does not have yet. */
  hasRoomFor(item: Item): boolean
  newest(most: number): readonly ItemKey[]
}

export type Answer = {
  /** Letters that continue the comparison. */
  readonly comparisons: readonly Comparison[]
  /** Keys of the statements that the other host needs. */
  readonly send: readonly ItemKey[]
}

export const comparisonLimits = {
  /** Our own items that are compared with one range of the other host. The next comparison finds the rest. */
  itemsCompared: 2_048,
  /** Letters in answer to one letter. The next comparison finds the rest. */
  letters: 4,
  /** Newest entries that are sent to a host with an empty table. */
  newest: 1_000,
} as const

/** Answers one comparison letter. The answer is bounded, whatever the other host sent. */
export function answer(table: ComparedTable, asked: Comparison): Answer {
  const send = new Set<ItemKey>()
  const want = new Set<ItemKey>()
  let comparisons: Comparison[] = []
  if (asked.groups) comparisons = compareLeaves(table, differences(asked.groups, table.groupHashes()))
  if (asked.leaves) {
    const differing = asked.leaves.flatMap(({ group, hashes }) =>
      differences(hashes, table.leafHashes(group)).map((leaf) => group * leavesInGroup + leaf),
    )
    comparisons.push(...sendItems(table, rangesOf(differing)))
  }
  for (const range of asked.items ?? []) compareItems(table, range, send, want)
  for (const key of decodeKeys(asked.want ?? new Uint8Array()) ?? []) send.add(key)
  if (asked.newest) for (const key of table.newest(comparisonLimits.newest)) send.add(key)
  comparisons.push(
    ...chunksOf([...want], limits.tableKeysInLetter).map((keys) => ({ want: encodeKeys(keys) })),
  )
  return { comparisons: comparisons.slice(0, comparisonLimits.letters), send: [...send] }
}

/** The positions at which two lists of hashes differ. */
function differences(a: Uint8Array, b: Uint8Array): number[] {
  return Array.from({ length: groups }, (_, index) => index).filter((index) => {
    for (let at = index * hashBytes; at < (index + 1) * hashBytes; at++) if (a[at] !== b[at]) return true
    return false
  })
}

/** Sends few items directly, without the hashes of their leaves. That saves one letter in each direction. */
function compareLeaves(table: ComparedTable, differing: readonly number[]): Comparison[] {
  const ranges = differing.map((group) => ({
    first: group * leavesInGroup,
    last: (group + 1) * leavesInGroup - 1,
  }))
  const items = ranges.reduce((sum, { first, last }) => sum + table.count(first, last), 0)
  if (items <= limits.tableItemsInLetter) return sendItems(table, ranges)
  return chunksOf(differing, limits.tableGroupsInLetter).map((some) => ({
    leaves: some.map((group) => ({ group, hashes: table.leafHashes(group) })),
  }))
}

type Range = { readonly first: number; readonly last: number }

function sendItems(table: ComparedTable, ranges: readonly Range[]): Comparison[] {
  const letters: { first: number; last: number; items: Uint8Array }[][] = []
  let itemsInLetter = Infinity
  for (const { first, last } of ranges) {
    if (letters.length > comparisonLimits.letters) break
    // If a range has more items than fit, the other host sends us items that we have. That does no harm.
    const items = table.items(first, last, limits.tableItemsInLetter)
    const letter = letters.at(-1)
    const isFull = letter === undefined || letter.length >= limits.tableRangesInLetter
    const range = { first, last, items: encodeItems(items) }
    if (isFull || itemsInLetter + items.length > limits.tableItemsInLetter) {
      letters.push([range])
      itemsInLetter = items.length
    } else {
      letter.push(range)
      itemsInLetter += items.length
    }
  }
  return letters.map((items) => ({ items }))
}

function rangesOf(leaves: readonly number[]): Range[] {
  const ranges: { first: number; last: number }[] = []
  for (const leaf of [...leaves].sort((a, b) => a - b)) {
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
