// A host's table in memory, as exchanges see it, and statements that only say what orders them.

import { toHex, utf8 } from '../../src/base/bytes.ts'
import {
  goodbyeVersion,
  groups,
  type Item,
  type ItemKey,
  itemPrint,
  itemVersion,
  leafOf,
  leavesInGroup,
  printBytes,
} from '../../src/sync/sync-item.ts'
import type { ExchangedTable } from '../../src/sync/table-sync.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'

export type Statement = {
  readonly key: ItemKey
  readonly sentAt: number
  readonly says: string
  readonly isLeave: boolean
  readonly flagged: boolean
}

export function versionOf({ sentAt, says, isLeave }: Statement): string {
  return isLeave ? goodbyeVersion(sentAt) : itemVersion(realCrypto, sentAt, utf8(says))
}

type Row = {
  readonly statement: Statement
  readonly item: Item
  readonly print: Uint8Array
  readonly leaf: number
}

const rows = new WeakMap<Statement, Row>()

/** Worked out once: a thousand simulated days look at each of them very often. */
function rowOf(statement: Statement): Row {
  const known = rows.get(statement)
  if (known) return known
  const item = { key: statement.key, version: versionOf(statement), flagged: statement.flagged }
  const row = { statement, item, print: itemPrint(realCrypto, item), leaf: leafOf(item.key) }
  rows.set(statement, row)
  return row
}

export class MemoryTable implements ExchangedTable {
  readonly #rows = new Map<ItemKey, Row>()
  readonly #capacity: number
  readonly #bytes: number
  /** Of those that have not left; null when something changed. */
  #living: readonly Row[] | null = null

  constructor(capacity = Infinity, bytes = 700) {
    this.#capacity = capacity
    this.#bytes = bytes
  }

  /** Whether it says anything new. */
  take(statement: Statement): boolean {
    const row = rowOf(statement)
    const before = this.#rows.get(statement.key)
    if (before) {
      if (row.item.version < before.item.version) return false
      const isSame = row.item.version === before.item.version
      if (isSame && (before.statement.flagged || !statement.flagged)) return false
    } else if (statement.isLeave || !this.hasRoomFor(row.item)) return false
    this.#rows.set(statement.key, row)
    this.#living = null
    while (this.size > this.#capacity) {
      this.#rows.delete(this.#oldest?.item.key ?? statement.key)
      this.#living = null
    }
    return true
  }

  get(key: ItemKey): Statement | null {
    return this.#rows.get(key)?.statement ?? null
  }

  get #alive(): readonly Row[] {
    this.#living ??= [...this.#rows.values()]
      .filter(({ statement }) => !statement.isLeave)
      .sort((a, b) => (a.item.version < b.item.version ? -1 : 1))
    return this.#living
  }

  get size(): number {
    return this.#alive.length
  }

  get #oldest(): Row | undefined {
    return this.#alive[0]
  }

  /** All of it in one text, to compare tables. */
  get content(): string {
    const lines = this.#alive.map(({ item }) => `${item.key} ${item.version} ${item.flagged}`)
    return lines.sort().join('\n')
  }

  get isEmpty(): boolean {
    return this.size === 0
  }

  statementBytes(key: ItemKey): number | null {
    return this.#rows.has(key) ? this.#bytes : null
  }

  groupPrints(): Uint8Array {
    return this.#prints((leaf) => Math.floor(leaf / leavesInGroup))
  }

  leafPrints(group: number): Uint8Array {
    return this.#prints((leaf) => (Math.floor(leaf / leavesInGroup) === group ? leaf % leavesInGroup : null))
  }

  #prints(placeOf: (leaf: number) => number | null): Uint8Array {
    const prints = new Uint8Array(groups * printBytes)
    for (const { leaf, print } of this.#alive) {
      const place = placeOf(leaf)
      if (place !== null) joinPrint(prints.subarray(place * printBytes), print)
    }
    return prints
  }

  count(first: number, last: number): number {
    return this.items(first, last, Infinity).length
  }

  items(first: number, last: number, most: number): readonly Item[] {
    return this.#alive
      .filter(({ leaf }) => leaf >= first && leaf <= last)
      .map(({ item }) => item)
      .slice(0, most)
  }

  find(key: ItemKey): Item | null {
    return this.#rows.get(key)?.item ?? null
  }

  hasRoomFor({ version }: Item): boolean {
    return this.size < this.#capacity || version > (this.#oldest?.item.version ?? '')
  }

  newest(most: number): readonly ItemKey[] {
    return this.#alive
      .slice(-most)
      .reverse()
      .map(({ item }) => item.key)
  }
}

export function keyOf(user: number): ItemKey {
  return toHex(realCrypto.hash(utf8(`user ${user}`), 16).subarray(0, 8))
}

export function statement(user: number, sentAt: number, more: Partial<Statement> = {}): Statement {
  return { key: keyOf(user), sentAt, says: `${user} at ${sentAt}`, isLeave: false, flagged: false, ...more }
}

/** `target` becomes the print of what it stood for with one item more, or less. */
function joinPrint(target: Uint8Array, print: Uint8Array): void {
  for (let at = 0; at < printBytes; at++) target[at] = (target[at] as number) ^ (print[at] as number)
}
