// The peer table: the agents that sent a request lately, and their addresses (A4). Every query uses an index, so its
// cost does not grow with the table.

import { toHex } from '../base/bytes.ts'
import type { Candidate } from '../base/endpoint.ts'
import { chunksOf } from '../base/list-chunks.ts'
import type { NatProfile } from '../base/nat-profile.ts'
import type { RoomTag, Session, UserId } from '../letter/letter-types.ts'
import { limits } from '../letter/limits.ts'
import { byCount, mostRows, repeat } from './batch-sql.ts'
import { DepartedAgents } from './departed-agents.ts'
import type { Connection, HostDatabase, Statement } from './host-database.ts'
import { RoomIds } from './room-ids.ts'

export type Entry = {
  readonly user: UserId
  readonly nickname: string
  readonly session: Session
  readonly returnAddress: string
  readonly candidates: readonly Candidate[]
  /** Left out if the agent takes no TCP. */
  readonly tcpCandidates?: readonly Candidate[]
  readonly nat: NatProfile
  /** When the agent signed the request, Unix ms. */
  readonly sentAt: number
  /** Another agent failed to reach it since its last request (A8). */
  readonly flagged: boolean
  /** When the host accepted the request, Unix ms by our clock. */
  readonly acceptedAt: number
}

export type NewEntry = Omit<Entry, 'flagged' | 'acceptedAt'> & {
  /** The invite that the agent used; the entry is removed with it. Null if the agent has the room's secret. */
  readonly inviteId: number | null
}

export type PeerTableSettings = {
  /** Entries in all rooms, at least 1. When the table is full, the entry with the oldest request is removed (A4). */
  readonly capacity: number
  /** An entry of this age, by our clock, is not shown any more. */
  readonly expiryMs: number
}

type Row = {
  user_id: Uint8Array
  nickname: string
  session_id: Uint8Array
  session_key: Uint8Array
  return_address: string
  candidates: string
  tcp_candidates: string
  nat: string
  flagged: number
  sent_at: number
  accepted_at: number
}

/** The columns that change after a row is written. */
type ChangingColumns = { entry_order: number; flagged: number; accepted_at: number }

/** Decoded entries in the cache, because the latest entries of a room are in every reply. When it is full, it is
 *  emptied. */
const decodedLimit = 256

const columns =
  'user_id, nickname, session_id, session_key, return_address, candidates, tcp_candidates, nat, flagged, sent_at, accepted_at'

export class PeerTable {
  readonly #database: HostDatabase
  readonly #settings: PeerTableSettings
  readonly #statements: ReturnType<typeof prepare>
  readonly #rooms: RoomIds
  readonly #departedAgents: DepartedAgents
  /** By `entry_order`. */
  readonly #decoded = new Map<number, Entry>()
  #rollbacks = 0

  /** Removes entries beyond the capacity, which may be lower than at the last start. */
  constructor(database: HostDatabase, settings: PeerTableSettings) {
    this.#database = database
    this.#settings = settings
    this.#statements = prepare(database.connection)
    this.#rooms = new RoomIds(database)
    this.#departedAgents = new DepartedAgents(database)
    this.#keepCapacity()
  }

  get size(): number {
    return this.#statements.size.get() as number
  }

  /** Adds or replaces the entry of a request, without a flag. `older`: nothing changed, because the table has a
   *  newer request of this agent, or the agent has left since. */
  upsert(room: RoomTag, entry: NewEntry, now: number): 'added' | 'refreshed' | 'older' {
    return this.#database.inTransaction(() => {
      const roomId = this.#rooms.ofOrAdd(room)
      const present = this.#statements.sentAt.get(roomId, entry.user) as number | undefined
      if (present !== undefined && present > entry.sentAt) return 'older'
      if (this.#departedAgents.hasLeftSince(roomId, entry.user, entry.sentAt)) return 'older'
      if (present !== undefined) this.#statements.remove.run(roomId, entry.user)
      const order = this.#statements.insert.get(
        roomId,
        entry.user,
        entry.nickname,
        entry.session.id,
        entry.session.publicKey,
        entry.returnAddress,
        JSON.stringify(entry.candidates),
        JSON.stringify(entry.tcpCandidates ?? []),
        JSON.stringify(entry.nat),
        entry.sentAt,
        now,
        entry.inviteId,
      ) as number
      // Overwrites a cached entry: SQLite may use the row number of a deleted row again.
      const { inviteId: _inviteId, ...rest } = entry
      this.#remember(order, { ...rest, flagged: false, acceptedAt: now })
      this.#keepCapacity()
      return present === undefined ? 'added' : 'refreshed'
    })
  }

  /** Null if there is no entry or it has expired. */
  find(room: RoomTag, user: UserId, now: number): Entry | null {
    const row = this.#statements.find.get(this.#rooms.of(room), user, now - this.#settings.expiryMs)
    return row === undefined ? null : entryOf(row as Row)
  }

  /** The entries of these users that have not expired, in the same order. */
  findAll(room: RoomTag, users: readonly UserId[], now: number): readonly Entry[] {
    const roomId = this.#rooms.of(room)
    const oldest = now - this.#settings.expiryMs
    const found = chunksOf(users, mostRows).flatMap((some) =>
      (this.#statements.findAll(some.length).all(roomId, oldest, ...some) as Row[]).map(entryOf),
    )
    const byUser = new Map(found.map((entry) => [toHex(entry.user), entry]))
    return users.flatMap((user) => byUser.get(toHex(user)) ?? [])
  }

  /** When the entry was accepted (Unix ms by our clock). Null if there is no entry or it has expired. */
  acceptedAt(room: RoomTag, user: UserId, now: number): number | null {
    const oldest = now - this.#settings.expiryMs
    return (this.#statements.acceptedAt.get(this.#rooms.of(room), user, oldest) as number | undefined) ?? null
  }

  /** The most recent other entries of a room that have not expired, latest first (A5). */
  recent(room: RoomTag, except: UserId, limit: number, now: number): readonly Entry[] {
    const rows = this.#statements.recent.all(
      this.#rooms.of(room),
      now - this.#settings.expiryMs,
      except,
      limit,
    )
    return (rows as ChangingColumns[]).flatMap((row) => this.#decode(row) ?? [])
  }

  /** Null if another process has removed the row meanwhile. */
  #decode({ entry_order, flagged, accepted_at: acceptedAt }: ChangingColumns): Entry | null {
    const { rollbacks } = this.#database
    if (rollbacks !== this.#rollbacks) this.#decoded.clear()
    this.#rollbacks = rollbacks
    const known = this.#decoded.get(entry_order)
    if (known && known.flagged === (flagged === 1) && known.acceptedAt === acceptedAt) return known
    const row = this.#statements.byOrder.get(entry_order) as Row | undefined
    if (row === undefined) return null
    const entry = entryOf(row)
    this.#remember(entry_order, entry)
    return entry
  }

  #remember(order: number, entry: Entry): void {
    if (this.#decoded.size >= decodedLimit) this.#decoded.clear()
    this.#decoded.set(order, entry)
  }

  /** Milliseconds until the entry expires if its agent sends no new request. 0 if there is no entry. */
  expiresInMs(room: RoomTag, user: UserId, now: number): number {
    const acceptedAt = this.acceptedAt(room, user, now)
    return acceptedAt === null ? 0 : this.lifeLeftMs(acceptedAt, now)
  }

  /** Milliseconds until an entry expires that was accepted at `acceptedAt` (Unix ms). */
  lifeLeftMs(acceptedAt: number, now: number): number {
    const left = acceptedAt + this.#settings.expiryMs - now
    return Math.min(this.#settings.expiryMs, limits.durationMs, Math.max(0, left))
  }

  /** Another agent could not reach this one. Its next request clears the flag. False if there is no entry. */
  flag(room: RoomTag, user: UserId): boolean {
    return this.#statements.flag.run(this.#rooms.of(room), user).changes > 0
  }

  /** The agent left at `sentAt` (Unix ms, signed). A request signed later stays, and one signed earlier is refused
   *  from now on. False if nothing was removed. */
  leave(room: RoomTag, user: UserId, sentAt: number): boolean {
    return this.#database.inTransaction(() => {
      const roomId = this.#rooms.of(room)
      if (roomId === null) return false
      this.#departedAgents.add(roomId, user, sentAt)
      return this.#statements.leave.run(roomId, user, sentAt).changes > 0
    })
  }

  /** Deletes about `limit` records of agents that left at `until` (Unix ms) or before. Requests signed then are
   *  stale anyway. Returns how many. */
  forgetDepartedAgents(until: number, limit: number): number {
    return this.#departedAgents.forget(until, limit)
  }

  /** Removes at most `limit` expired entries and returns how many. */
  removeExpired(now: number, limit: number): number {
    return this.#statements.removeExpired.run(now - this.#settings.expiryMs, limit).changes
  }

  /** Corrects times in the future after our clock was set back, because such entries would live too long. Changes
   *  at most `limit` entries and returns how many. */
  clampFuture(now: number, limit: number): number {
    return this.#statements.clampFuture.run(now, now, limit).changes
  }

  #keepCapacity(): void {
    const excess = this.size - this.#settings.capacity
    if (excess > 0) this.#statements.removeOldest.run(excess)
  }
}

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  return {
    size: statement('SELECT entries FROM tally WHERE tally_id = 1').pluck(),
    sentAt: statement('SELECT sent_at FROM entry WHERE room_id = ? AND user_id = ?').pluck(),
    insert: statement(
      `INSERT INTO entry (room_id, user_id, nickname, session_id, session_key, return_address, candidates,
         tcp_candidates, nat, flagged, sent_at, accepted_at, invite_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)
       RETURNING entry_order`,
    ).pluck(),
    remove: statement('DELETE FROM entry WHERE room_id = ? AND user_id = ?'),
    leave: statement('DELETE FROM entry WHERE room_id = ? AND user_id = ? AND sent_at <= ?'),
    removeOldest: statement(
      'DELETE FROM entry WHERE entry_order IN (SELECT entry_order FROM entry ORDER BY entry_order LIMIT ?)',
    ),
    find: statement(`SELECT ${columns} FROM entry WHERE room_id = ? AND user_id = ? AND accepted_at > ?`),
    findAll: byCount((count) =>
      statement(
        `SELECT ${columns} FROM entry WHERE room_id = ? AND accepted_at > ? AND user_id IN (${repeat(count, '?')})`,
      ),
    ),
    acceptedAt: statement(
      'SELECT accepted_at FROM entry WHERE room_id = ? AND user_id = ? AND accepted_at > ?',
    ).pluck(),
    byOrder: statement(`SELECT ${columns} FROM entry WHERE entry_order = ?`),
    recent: statement(
      `SELECT entry_order, flagged, accepted_at FROM entry INDEXED BY entry_by_room
       WHERE room_id = ? AND accepted_at > ? AND user_id <> ?
       ORDER BY accepted_at DESC, entry_order DESC LIMIT ?`,
    ),
    flag: statement('UPDATE entry SET flagged = 1 WHERE room_id = ? AND user_id = ?'),
    removeExpired: statement(
      `DELETE FROM entry WHERE entry_order IN
         (SELECT entry_order FROM entry WHERE accepted_at <= ? ORDER BY accepted_at LIMIT ?)`,
    ),
    clampFuture: statement(
      `UPDATE entry SET accepted_at = ? WHERE entry_order IN
         (SELECT entry_order FROM entry WHERE accepted_at > ? ORDER BY accepted_at DESC LIMIT ?)`,
    ),
  }
}

function entryOf(row: Row): Entry {
  const tcpCandidates = JSON.parse(row.tcp_candidates) as readonly Candidate[]
  return {
    user: new Uint8Array(row.user_id),
    nickname: row.nickname,
    session: { id: new Uint8Array(row.session_id), publicKey: new Uint8Array(row.session_key) },
    returnAddress: row.return_address,
    candidates: JSON.parse(row.candidates) as readonly Candidate[],
    ...(tcpCandidates.length > 0 && { tcpCandidates }),
    nat: JSON.parse(row.nat) as NatProfile,
    flagged: row.flagged === 1,
    sentAt: row.sent_at,
    acceptedAt: row.accepted_at,
  }
}
