// A host's table in memory for tests of table sync, with statements that have only what the order depends on.

import { toHex, utf8 } from '../../src/base/bytes.ts'
import {
  groups,
  hashBytes,
  type Item,
  type ItemKey,
  itemHash,
  itemVersion,
  leafOf,
  leavesInGroup,
  leaveVersion,
  xorHash,
} from '../../src/sync/item-version.ts'
import type { SyncedTable } from '../../src/sync/table-sync.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'

export type Statement = {
  readonly key: ItemKey
  readonly sentAt: number
  readonly content: string
  readonly isLeave: boolean
  readonly flagged: boolean
}

export function versionOf({ sentAt, content, isLeave }: Statement): string {
  return isLeave ? leaveVersion(sentAt) : itemVersion(realCrypto, sentAt, utf8(content))
}

type Row = {
  readonly statement: Statement
  readonly item: Item
  readonly hash: Uint8Array
  readonly leaf: number
}

const rows = new WeakMap<Statement, Row>()

/** Cached, because the simulated days need each row very often. */
function rowOf(statement: Statement): Row {
  const known = rows.get(statement)
  if (known) return known
  const item = { key: statement.key, version: versionOf(statement), flagged: statement.flagged }
  const row = { statement, item, hash: itemHash(realCrypto, item), leaf: leafOf(item.key) }
  rows.set(statement, row)
  return row
}

export class MemoryTable implements SyncedTable {
  readonly #rows = new Map<ItemKey, Row>()
  readonly #capacity: number
  readonly #bytes: number
  /** Rows of users that have not left, sorted by version. Null after a change. */
  #present: readonly Row[] | null = null

  constructor(capacity = Infinity, bytes = 700) {
    this.#capacity = capacity
    this.#bytes = bytes
  }

  /** Whether the statement is new. */
  take(statement: Statement): boolean {
    const row = rowOf(statement)
    const before = this.#rows.get(statement.key)
    if (before) {
      if (row.item.version < before.item.version) return false
      const isSame = row.item.version === before.item.version
      if (isSame && (before.statement.flagged || !statement.flagged)) return false
    } else if (statement.isLeave || !this.hasRoomFor(row.item)) return false
    this.#rows.set(statement.key, row)
    this.#present = null
    while (this.size > this.#capacity) {
      this.#rows.delete(this.#oldest?.item.key ?? statement.key)
      this.#present = null
    }
    return true
  }

  get(key: ItemKey): Statement | null {
    return this.#rows.get(key)?.statement ?? null
  }

  get #rowsPresent(): readonly Row[] {
    this.#present ??= [...this.#rows.values()]
      .filter(({ statement }) => !statement.isLeave)
      .sort((a, b) => (a.item.version < b.item.version ? -1 : 1))
    return this.#present
  }

  get size(): number {
    return this.#rowsPresent.length
  }

  get #oldest(): Row | undefined {
    return this.#rowsPresent[0]
  }

  /** The whole table as one text, to compare tables. */
  get content(): string {
    const lines = this.#rowsPresent.map(({ item }) => `${item.key} ${item.version} ${item.flagged}`)
    return lines.sort().join('\n')
  }

  get isEmpty(): boolean {
    return this.size === 0
  }

  statementBytes(key: ItemKey): number | null {
    return this.#rows.has(key) ? this.#bytes : null
  }

  groupHashes(): Uint8Array {
    return this.#hashes((leaf) => Math.floor(leaf / leavesInGroup))
  }

  leafHashes(group: number): Uint8Array {
    return this.#hashes((leaf) => (Math.floor(leaf / leavesInGroup) === group ? leaf % leavesInGroup : null))
  }

  #hashes(placeOf: (leaf: number) => number | null): Uint8Array {
    const hashes = new Uint8Array(groups * hashBytes)
    for (const { leaf, hash } of this.#rowsPresent) {
      const place = placeOf(leaf)
      if (place !== null) xorHash(hashes.subarray(place * hashBytes), hash)
    }
    return hashes
  }

  count(first: number, last: number): number {
    return this.items(first, last, Infinity).length
  }

  items(first: number, last: number, most: number): readonly Item[] {
    return this.#rowsPresent
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
    return this.#rowsPresent
      .slice(-most)
      .reverse()
      .map(({ item }) => item.key)
  }
}

export function keyOf(user: number): ItemKey {
  return toHex(realCrypto.hash(utf8(`user ${user}`), 16).subarray(0, 8))
}

export function statement(user: number, sentAt: number, more: Partial<Statement> = {}): Statement {
  return {
    key: keyOf(user),
    sentAt,
    content: `${user} at ${sentAt}`,
    isLeave: false,
    flagged: false,
    ...more,
  }
}
