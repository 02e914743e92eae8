// Signed statements of agents, which are sent to other hosts (A13): the request behind each entry, and the leave letter of
// agents that left. A trigger deletes the statement with its entry.

import { viewOf } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import type { RoomTag, UserId } from '../letter/letter-types.ts'
import { limits } from '../letter/limits.ts'
import {
  decodeItems,
  encodeItems,
  groups,
  hashBytes,
  type Item,
  type ItemKey,
  itemHash,
  itemKey,
  leafOf,
  leavesInGroup,
  leaveVersion,
  signedAt,
} from '../sync/item-version.ts'
import type { SyncedTable } from '../sync/table-sync.ts'
import type { Connection, HostDatabase, Statement as Sql } from './host-database.ts'

/** The name and the length of the field `offered` in a letter. */
const offeredFieldBytes = 11

export type StoredStatement = {
  readonly signed: Uint8Array
  readonly flagged: boolean
  /** Unix ms by our clock. For a leave letter, the time when it was signed. */
  readonly acceptedAt: number
  /** The peers that its agent was offered since its request. */
  readonly offered: readonly Item[]
}

export type NewStatement = {
  readonly version: string
  readonly flagged: boolean
  readonly signed: Uint8Array
  /** The host that sent it; null if it came from the agent itself. */
  readonly receivedFrom: UserId | null
  readonly offered: readonly Item[]
}

type ItemRow = { item_key: string; version: string; flagged: number }
type StatementRow = { signed: Uint8Array; flagged: number; accepted_at: number; offered: Uint8Array | null }

export class SignedStatements implements SyncedTable {
  readonly #database: HostDatabase
  readonly #crypto: Crypto
  readonly #capacity: number
  readonly #sql: ReturnType<typeof prepare>

  /** `capacity`: the capacity of the peer table. */
  constructor(database: HostDatabase, crypto: Crypto, { capacity }: { readonly capacity: number }) {
    this.#database = database
    this.#crypto = crypto
    this.#capacity = capacity
    this.#sql = prepare(database.connection)
  }

  keyOf(room: RoomTag, user: UserId): ItemKey {
    return itemKey(this.#crypto, room, user)
  }

  /** Stores the statement of an entry that was just added to the peer table. */
  put(room: RoomTag, user: UserId, { version, flagged, ...rest }: NewStatement): ItemKey {
    const key = this.keyOf(room, user)
    this.#replace({ key, version, flagged }, room, user, rest)
    return key
  }

  /** The host that sent the statement and can reach the agent by mail. Null if the agent knows us. */
  receivedFrom(room: RoomTag, user: UserId): UserId | null {
    const host = this.#sql.receivedFrom.get(this.keyOf(room, user)) as Uint8Array | null | undefined
    return host ? new Uint8Array(host) : null
  }

  /** Another agent failed to reach this one. Null if there is no statement, or it has the flag already. */
  flag(room: RoomTag, user: UserId): ItemKey | null {
    const key = this.keyOf(room, user)
    const row = this.#sql.find.get(key) as ItemRow | undefined
    const stored = this.get(key)
    if (row === undefined || stored === null || row.flagged === 1) return null
    const { signed, offered } = stored
    const receivedFrom = this.receivedFrom(room, user)
    this.#replace({ ...itemOf(row), flagged: true }, room, user, { signed, receivedFrom, offered })
    return key
  }

  /** Adds peers that the agent was offered since its request. Beyond `limits.peers` the oldest are dropped. */
  addOffered(key: ItemKey, items: readonly Item[]): void {
    const stored = this.get(key)
    if (stored !== null) this.#sql.setOffered.run(encodeOffered([...stored.offered, ...items]), key)
  }

  /** Stores the leave letter of an agent that the peer table has just removed. */
  putLeave(room: RoomTag, user: UserId, sentAt: number, signed: Uint8Array): ItemKey {
    const key = this.keyOf(room, user)
    this.#sql.putLeave.run(key, signed, user, sentAt, room)
    return key
  }

  /** The statement that other hosts get; null if it is gone. */
  get(key: ItemKey): StoredStatement | null {
    const row = (this.#sql.request.get(key) ?? this.#sql.leave.get(key)) as StatementRow | undefined
    if (row === undefined) return null
    return {
      signed: new Uint8Array(row.signed),
      flagged: row.flagged === 1,
      acceptedAt: row.accepted_at,
      offered: decodeItems(new Uint8Array(row.offered ?? [])) ?? [],
    }
  }

  /** Entries from before this host knew another host have no statement, so the peer table may have entries all the same. */
  get isEmpty(): boolean {
    return this.#sql.any.get() === undefined
  }

  statementBytes(key: ItemKey): number | null {
    const stored = this.get(key)
    return stored && stored.signed.length + offeredFieldBytes + stored.offered.length * limits.tableItemBytes
  }

  groupHashes(): Uint8Array {
    const rows = this.#sql.leaves.all(0, groups * leavesInGroup - 1) as LeafRow[]
    return hashesOf(rows, ({ leaf }) => Math.floor(leaf / leavesInGroup))
  }

  leafHashes(group: number): Uint8Array {
    const first = group * leavesInGroup
    const rows = this.#sql.leaves.all(first, first + leavesInGroup - 1) as LeafRow[]
    return hashesOf(rows, ({ leaf }) => leaf - first)
  }

  count(first: number, last: number): number {
    return this.#sql.count.get(first, last) as number
  }

  items(first: number, last: number, most: number): readonly Item[] {
    return (this.#sql.items.all(first, last, most) as ItemRow[]).map(itemOf)
  }

  find(key: ItemKey): Item | null {
    const row = this.#sql.find.get(key) as ItemRow | undefined
    if (row) return itemOf(row)
    const left = this.#sql.leftAt.get(key) as number | undefined
    return left === undefined ? null : { key, version: leaveVersion(left), flagged: false }
  }

  /** Whether `version` is newer or older than the stored one. */
  compareVersion(key: ItemKey, version: string): 'newer' | 'same' | 'older' {
    const known = this.find(key)
    if (known === null || version > known.version) return 'newer'
    return version === known.version ? 'same' : 'older'
  }

  hasRoomFor(item: Item): boolean {
    if ((this.#sql.size.get() as number) < this.#capacity) return true
    const oldest = this.#sql.oldest.get() as number | undefined
    return oldest !== undefined && signedAt(item) > oldest
  }

  newest(most: number): readonly ItemKey[] {
    return this.#sql.newest.all(most) as ItemKey[]
  }

  #replace(
    item: Item,
    room: RoomTag,
    user: UserId,
    { signed, receivedFrom, offered }: Pick<NewStatement, 'signed' | 'receivedFrom' | 'offered'>,
  ): void {
    const hash = numberOf(itemHash(this.#crypto, item))
    this.#database.inTransaction(() => {
      this.#sql.remove.run(item.key)
      const { key, version, flagged } = item
      const flag = flagged ? 1 : 0
      const offeredItems = encodeOffered(offered)
      this.#sql.add.run(key, user, version, flag, leafOf(key), hash, signed, receivedFrom, offeredItems, room)
    })
  }
}

function itemOf({ item_key: key, version, flagged }: ItemRow): Item {
  return { key, version, flagged: flagged === 1 }
}

function encodeOffered(items: readonly Item[]): Uint8Array {
  return encodeItems(items.slice(-limits.peers))
}

type LeafRow = { leaf: number; print: number }

/** A hash of six bytes as a number, which JavaScript stores exactly. */
function numberOf(hash: Uint8Array): number {
  const view = viewOf(hash)
  return view.getUint16(0) * 2 ** 32 + view.getUint32(2)
}

/** A list of hashes. Each is the XOR of the hashes of all leaves with the same index. */
function hashesOf(rows: readonly LeafRow[], indexOf: (row: LeafRow) => number): Uint8Array {
  const hashes = new Uint8Array(groups * hashBytes)
  const view = viewOf(hashes)
  for (const row of rows) {
    const at = indexOf(row) * hashBytes
    view.setUint16(at, view.getUint16(at) ^ Math.floor(row.print / 2 ** 32))
    view.setUint32(at + 2, view.getUint32(at + 2) ^ (row.print % 2 ** 32))
  }
  return hashes
}

function prepare(connection: Connection) {
  const sql = (text: string): Sql => connection.prepare(text)
  return {
    add: sql(
      `INSERT INTO statement (item_key, room_id, user_id, version, flagged, leaf, print, signed, told_by, offered)
       SELECT ?, room_id, ?, ?, ?, ?, ?, ?, ?, ? FROM room WHERE tag = ?`,
    ),
    remove: sql('DELETE FROM statement WHERE item_key = ?'),
    setOffered: sql('UPDATE statement SET offered = ? WHERE item_key = ?'),
    putLeave: sql(
      `UPDATE departure SET item_key = ?, signed = ? WHERE user_id = ? AND sent_at = ?
         AND room_id = (SELECT room_id FROM room WHERE tag = ?)`,
    ),
    request: sql(
      `SELECT signed, statement.flagged, accepted_at, offered FROM statement JOIN entry USING (room_id, user_id)
       WHERE item_key = ?`,
    ),
    leave: sql(
      `SELECT signed, 0 AS flagged, sent_at AS accepted_at, NULL AS offered FROM departure
       WHERE item_key = ? AND signed IS NOT NULL`,
    ),
    receivedFrom: sql('SELECT told_by FROM statement WHERE item_key = ?').pluck(),
    any: sql('SELECT 1 FROM statement LIMIT 1'),
    size: sql('SELECT entries FROM tally WHERE tally_id = 1').pluck(),
    oldest: sql('SELECT sent_at FROM entry ORDER BY entry_order LIMIT 1').pluck(),
    leaves: sql('SELECT leaf, print FROM leaf WHERE leaf BETWEEN ? AND ? AND items > 0'),
    count: sql('SELECT COALESCE(SUM(items), 0) FROM leaf WHERE leaf BETWEEN ? AND ?').pluck(),
    items: sql('SELECT item_key, version, flagged FROM statement WHERE leaf BETWEEN ? AND ? LIMIT ?'),
    find: sql('SELECT item_key, version, flagged FROM statement WHERE item_key = ?'),
    leftAt: sql('SELECT sent_at FROM departure WHERE item_key = ?').pluck(),
    newest: sql(
      `SELECT item_key FROM entry JOIN statement USING (room_id, user_id)
       ORDER BY accepted_at DESC LIMIT ?`,
    ).pluck(),
  }
}
