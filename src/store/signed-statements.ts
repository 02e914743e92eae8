// What agents signed of themselves, so that other hosts can be told (A13): the request behind each entry, and
// the goodbye of those who left. Entries that go take their statements along, by a trigger.

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

/** Its name and length in a letter. */
const offeredFieldBytes = 11

export type Told = {
  readonly signed: Uint8Array
  readonly flagged: boolean
  /** Unix ms by our clock; of a goodbye, when it was signed. */
  readonly acceptedAt: number
  /** Whom its agent was offered since it asked. */
  readonly offered: readonly Item[]
}

export type NewStatement = {
  readonly version: string
  readonly flagged: boolean
  readonly signed: Uint8Array
  readonly toldBy: UserId | null
  readonly offered: readonly Item[]
}

type ItemRow = { item_key: string; version: string; flagged: number }
type ToldRow = { signed: Uint8Array; flagged: number; accepted_at: number; offered: Uint8Array | null }

export class SignedStatements implements SyncedTable {
  readonly #database: HostDatabase
  readonly #crypto: Crypto
  readonly #capacity: number
  readonly #sql: ReturnType<typeof prepare>

  /** `capacity`: of the peer table. */
  constructor(database: HostDatabase, crypto: Crypto, { capacity }: { readonly capacity: number }) {
    this.#database = database
    this.#crypto = crypto
    this.#capacity = capacity
    this.#sql = prepare(database.connection)
  }

  keyOf(room: RoomTag, user: UserId): ItemKey {
    return itemKey(this.#crypto, room, user)
  }

  /** Of the entry that was just taken into the table. `toldBy`: the host that told of it; null for its own agent. */
  put(room: RoomTag, user: UserId, { version, flagged, ...rest }: NewStatement): ItemKey {
    const key = this.keyOf(room, user)
    this.#replace({ key, version, flagged }, room, user, rest)
    return key
  }

  /** The host that knows how to reach it by mail; null when its agent knows us. */
  toldBy(room: RoomTag, user: UserId): UserId | null {
    const host = this.#sql.toldBy.get(this.keyOf(room, user)) as Uint8Array | null | undefined
    return host ? new Uint8Array(host) : null
  }

  /** Somebody failed to reach it. Null when there is nothing of the kind, or that was known. */
  flag(room: RoomTag, user: UserId): ItemKey | null {
    const key = this.keyOf(room, user)
    const row = this.#sql.find.get(key) as ItemRow | undefined
    const told = this.told(key)
    if (row === undefined || told === null || row.flagged === 1) return null
    const { signed, offered } = told
    const toldBy = this.toldBy(room, user)
    this.#replace({ ...itemOf(row), flagged: true }, room, user, { signed, toldBy, offered })
    return key
  }

  /** Its agent is told of these, too, since it asked. Of more than an agent can be told of at once the oldest are forgotten. */
  addOffered(key: ItemKey, items: readonly Item[]): void {
    const told = this.told(key)
    if (told !== null) this.#sql.setOffered.run(encodeOffered([...told.offered, ...items]), key)
  }

  /** Its agent left, which the table has noted. */
  putGoodbye(room: RoomTag, user: UserId, sentAt: number, signed: Uint8Array): ItemKey {
    const key = this.keyOf(room, user)
    this.#sql.putGoodbye.run(key, signed, user, sentAt, room)
    return key
  }

  /** What is told to other hosts; null when there is nothing any more. */
  told(key: ItemKey): Told | null {
    const row = (this.#sql.told.get(key) ?? this.#sql.goodbye.get(key)) as ToldRow | undefined
    if (row === undefined) return null
    return {
      signed: new Uint8Array(row.signed),
      flagged: row.flagged === 1,
      acceptedAt: row.accepted_at,
      offered: decodeItems(new Uint8Array(row.offered ?? [])) ?? [],
    }
  }

  /** The table has entries that nothing was signed for: made before this host knew another. */
  get isEmpty(): boolean {
    return this.#sql.any.get() === undefined
  }

  statementBytes(key: ItemKey): number | null {
    const told = this.told(key)
    return told && told.signed.length + offeredFieldBytes + told.offered.length * limits.tableItemBytes
  }

  groupHashes(): Uint8Array {
    const rows = this.#sql.leaves.all(0, groups * leavesInGroup - 1) as LeafRow[]
    return printsOf(rows, ({ leaf }) => Math.floor(leaf / leavesInGroup))
  }

  leafHashes(group: number): Uint8Array {
    const first = group * leavesInGroup
    const rows = this.#sql.leaves.all(first, first + leavesInGroup - 1) as LeafRow[]
    return printsOf(rows, ({ leaf }) => leaf - first)
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

  /** What is known under this key compared with another version of it. */
  newsOf(key: ItemKey, version: string): 'newer' | 'same' | 'older' {
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
    { signed, toldBy, offered }: Pick<NewStatement, 'signed' | 'toldBy' | 'offered'>,
  ): void {
    const print = itemHash(this.#crypto, item)
    this.#database.inTransaction(() => {
      this.#sql.remove.run(item.key)
      const { key, version, flagged } = item
      const number = numberOf(print)
      const flag = flagged ? 1 : 0
      const names = encodeOffered(offered)
      this.#sql.add.run(key, user, version, flag, leafOf(key), number, signed, toldBy, names, room)
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

/** Six bytes are a whole number that JavaScript holds exactly. */
function numberOf(print: Uint8Array): number {
  const view = viewOf(print)
  return view.getUint16(0) * 2 ** 32 + view.getUint32(2)
}

/** XOR of the prints of all leaves that go to the same place. */
function printsOf(rows: readonly LeafRow[], placeOf: (row: LeafRow) => number): Uint8Array {
  const prints = new Uint8Array(groups * hashBytes)
  const view = viewOf(prints)
  for (const row of rows) {
    const at = placeOf(row) * hashBytes
    view.setUint16(at, view.getUint16(at) ^ Math.floor(row.print / 2 ** 32))
    view.setUint32(at + 2, view.getUint32(at + 2) ^ (row.print % 2 ** 32))
  }
  return prints
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
    putGoodbye: sql(
      `UPDATE departure SET item_key = ?, signed = ? WHERE user_id = ? AND sent_at = ?
         AND room_id = (SELECT room_id FROM room WHERE tag = ?)`,
    ),
    told: sql(
      `SELECT signed, statement.flagged, accepted_at, offered FROM statement JOIN entry USING (room_id, user_id)
       WHERE item_key = ?`,
    ),
    goodbye: sql(
      `SELECT signed, 0 AS flagged, sent_at AS accepted_at, NULL AS offered FROM departure
       WHERE item_key = ? AND signed IS NOT NULL`,
    ),
    toldBy: sql('SELECT told_by FROM statement WHERE item_key = ?').pluck(),
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
