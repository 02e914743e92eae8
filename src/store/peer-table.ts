// The agents that asked lately, and their addresses (A4). Every query uses an index, so its cost does not grow with
// the table.

import { toHex } from '../base/bytes.ts'
import type { Candidate } from '../base/endpoint.ts'
import { chunksOf } from '../base/list-chunks.ts'
import type { NatProfile } from '../base/nat-profile.ts'
import type { RoomTag, Session, UserId } from '../letter/letter-types.ts'
import { limits } from '../letter/limits.ts'
import { forCount, mostRows, times } from './batch-sql.ts'
import type { Connection, HostDatabase, Statement } from './host-database.ts'
import { LeftAgents } from './left-agents.ts'
import { RoomIds } from './room-ids.ts'

export type Entry = {
  readonly user: UserId
  readonly nickname: string
  readonly session: Session
  readonly returnAddress: string
  readonly candidates: readonly Candidate[]
  /** Left out where it takes no TCP. */
  readonly tcpCandidates?: readonly Candidate[]
  readonly nat: NatProfile
  /** Unix ms the agent signed. */
  readonly sentAt: number
  /** Somebody failed to reach it since it last asked (A8). */
  readonly flagged: boolean
  /** Unix ms by our clock. */
  readonly acceptedAt: number
}

export type NewEntry = Omit<Entry, 'flagged' | 'acceptedAt'> & {
  /** The invite it came by, so that it goes with it; null for the room's own secret. */
  readonly inviteId: number | null
}

export type PeerTableSettings = {
  /** Entries over all rooms, at least 1. When it is full the entry that has not asked for longest goes (A4). */
  readonly capacity: number
  /** An entry this old, by our clock, is shown to nobody. */
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

/** What changes in a row after it was written. */
type Glimpse = { entry_order: number; flagged: number; accepted_at: number }

/** Entries kept decoded: the few that are the latest of their room are in every reply. When it is full it is emptied. */
const decodedLimit = 256

const columns =
  'user_id, nickname, session_id, session_key, return_address, candidates, tcp_candidates, nat, flagged, sent_at, accepted_at'

export class PeerTable {
  readonly #database: HostDatabase
  readonly #settings: PeerTableSettings
  readonly #statements: ReturnType<typeof prepare>
  readonly #rooms: RoomIds
  readonly #departures: LeftAgents
  /** By `entry_order`. */
  readonly #decoded = new Map<number, Entry>()
  #rollbacks = 0

  /** Entries beyond the capacity go at once, in case it was lowered since the last start. */
  constructor(database: HostDatabase, settings: PeerTableSettings) {
    this.#database = database
    this.#settings = settings
    this.#statements = prepare(database.connection)
    this.#rooms = new RoomIds(database)
    this.#departures = new LeftAgents(database)
    this.#keepCapacity()
  }

  get size(): number {
    return this.#statements.size.get() as number
  }

  /** Takes a request's entry and clears its flag. `older`: one whose signed time is later stays as it is, or the agent
   *  has left since. */
  upsert(room: RoomTag, entry: NewEntry, now: number): 'added' | 'refreshed' | 'older' {
    return this.#database.inTransaction(() => {
      const roomId = this.#rooms.ofNew(room)
      const present = this.#statements.sentAt.get(roomId, entry.user) as number | undefined
      if (present !== undefined && present > entry.sentAt) return 'older'
      if (this.#departures.isSince(roomId, entry.user, entry.sentAt)) return 'older'
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
      // In place of another one: SQLite gives the number of a row that is gone again.
      const { inviteId: _inviteId, ...rest } = entry
      this.#remember(order, { ...rest, flagged: false, acceptedAt: now })
      this.#keepCapacity()
      return present === undefined ? 'added' : 'refreshed'
    })
  }

  /** Null when there is none or it has expired. */
  find(room: RoomTag, user: UserId, now: number): Entry | null {
    const row = this.#statements.find.get(this.#rooms.of(room), user, now - this.#settings.expiryMs)
    return row === undefined ? null : entryOf(row as Row)
  }

  /** Those of them that are there and have not expired, in their order. */
  findAll(room: RoomTag, users: readonly UserId[], now: number): readonly Entry[] {
    const roomId = this.#rooms.of(room)
    const oldest = now - this.#settings.expiryMs
    const found = chunksOf(users, mostRows).flatMap((some) =>
      (this.#statements.findAll(some.length).all(roomId, oldest, ...some) as Row[]).map(entryOf),
    )
    const byUser = new Map(found.map((entry) => [toHex(entry.user), entry]))
    return users.flatMap((user) => byUser.get(toHex(user)) ?? [])
  }

  /** Unix ms by our clock; null when there is no entry or it has expired. */
  acceptedAt(room: RoomTag, user: UserId, now: number): number | null {
    const oldest = now - this.#settings.expiryMs
    return (this.#statements.acceptedAt.get(this.#rooms.of(room), user, oldest) as number | undefined) ?? null
  }

  /** The most recent others of a room, latest first, none of them expired (A5). */
  recent(room: RoomTag, except: UserId, limit: number, now: number): readonly Entry[] {
    const rows = this.#statements.recent.all(
      this.#rooms.of(room),
      now - this.#settings.expiryMs,
      except,
      limit,
    )
    return (rows as Glimpse[]).flatMap((row) => this.#decode(row) ?? [])
  }

  /** Null when another process has taken it out meanwhile. */
  #decode({ entry_order, flagged, accepted_at: acceptedAt }: Glimpse): Entry | null {
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

  /** Milliseconds until the entry expires if its agent does not ask again; 0 when there is none. */
  expiresInMs(room: RoomTag, user: UserId, now: number): number {
    const acceptedAt = this.acceptedAt(room, user, now)
    return acceptedAt === null ? 0 : this.lifeLeftMs(acceptedAt, now)
  }

  /** Of an entry accepted at `acceptedAt` (Unix ms). */
  lifeLeftMs(acceptedAt: number, now: number): number {
    const left = acceptedAt + this.#settings.expiryMs - now
    return Math.min(this.#settings.expiryMs, limits.durationMs, Math.max(0, left))
  }

  /** Somebody could not reach it; its next request clears this. False when there is no such entry. */
  flag(room: RoomTag, user: UserId): boolean {
    return this.#statements.flag.run(this.#rooms.of(room), user).changes > 0
  }

  /** Its agent left at `sentAt`: a request signed later stays, one signed before will not count any more. False when
   *  nothing was removed. */
  leave(room: RoomTag, user: UserId, sentAt: number): boolean {
    return this.#database.inTransaction(() => {
      const roomId = this.#rooms.of(room)
      if (roomId === null) return false
      this.#departures.note(roomId, user, sentAt)
      return this.#statements.leave.run(roomId, user, sentAt).changes > 0
    })
  }

  /** One small step of housekeeping: requests signed at `until` (Unix ms) or before are stale by now, so nobody needs
   *  to know who left until then. */
  forgetDepartures(until: number, limit: number): number {
    return this.#departures.forget(until, limit)
  }

  /** One small step of housekeeping: removes at most `limit` expired entries and says how many. */
  removeExpired(now: number, limit: number): number {
    return this.#statements.removeExpired.run(now - this.#settings.expiryMs, limit).changes
  }

  /** After our clock was set back: entries accepted in the future would live too long, so they were accepted
   *  now. At most `limit` a step; says how many. */
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
    findAll: forCount((count) =>
      statement(
        `SELECT ${columns} FROM entry WHERE room_id = ? AND accepted_at > ? AND user_id IN (${times(count, '?')})`,
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
