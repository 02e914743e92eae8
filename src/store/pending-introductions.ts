// Introductions that wait to be sent: a recipient, and the agents that were offered its address (C2). They are in the database,
// so a host that was killed sends them after its restart.

import { chunksOf } from '../base/list-chunks.ts'
import type { RoomTag, UserId } from '../letter/letter-types.ts'
import { byCount, mostRows, repeat } from './batch-sql.ts'
import type { Connection, HostDatabase, Statement } from './host-database.ts'
import { RoomIds } from './room-ids.ts'

/** Waiting pairs, at most. Beyond this new pairs are not stored. The requesting agent punches all the same, and the other one
 *  learns of it with its own next reply. */
const maxPairs = 100_000

export type DueIntroduction = {
  readonly room: RoomTag
  readonly recipient: UserId
  /** The agents that were offered the recipient, longest waiting first. */
  readonly requesters: readonly UserId[]
}

export class PendingIntroductions {
  readonly #statements: ReturnType<typeof prepare>
  readonly #rooms: RoomIds

  constructor(database: HostDatabase) {
    this.#rooms = new RoomIds(database)
    this.#statements = prepare(database.connection)
  }

  get size(): number {
    return this.#statements.size.get() as number
  }

  /** Stores that the requester must be introduced to the recipients. The room must have had an entry. */
  note(room: RoomTag, recipients: readonly UserId[], requester: UserId, now: number): void {
    const roomId = this.#rooms.of(room)
    if (roomId === null || recipients.length === 0 || this.size + recipients.length > maxPairs) return
    for (const some of chunksOf(recipients, mostRows)) {
      const values = some.flatMap((recipient) => [roomId, recipient, requester, now])
      this.#statements.note(some.length).run(...values)
    }
  }

  /** Removes the pairs: the recipient knows the requesters by now, or one side is gone. */
  settle(room: RoomTag, recipient: UserId, requesters: readonly UserId[]): void {
    const roomId = this.#rooms.of(room)
    if (roomId === null || this.#statements.any.get(roomId, recipient) === undefined) return
    for (const some of chunksOf(requesters, mostRows))
      this.#statements.settle(some.length).run(roomId, recipient, ...some)
  }

  /** When the longest waiting pair was stored (Unix ms); null if none waits. */
  oldestNotedAt(): number | null {
    return (this.#statements.oldest.get() as number | undefined) ?? null
  }

  /** The introduction that waits longest, if it was stored at `notedUntil` (Unix ms) or before. */
  next(notedUntil: number, maxRequesters: number): DueIntroduction | null {
    const first = this.#statements.first.get(notedUntil) as
      | { room_id: number; tag: Uint8Array; recipient: Uint8Array }
      | undefined
    if (first === undefined) return null
    const rows = this.#statements.requesters.all(first.room_id, first.recipient, maxRequesters)
    return {
      room: new Uint8Array(first.tag),
      recipient: new Uint8Array(first.recipient),
      requesters: (rows as Uint8Array[]).map((requester) => new Uint8Array(requester)),
    }
  }

  /** Deletes pairs stored at `notedUntil` (Unix ms) or before, which are too old to be useful. */
  forget(notedUntil: number): void {
    this.#statements.forget.run(notedUntil)
  }

  /** Corrects times in the future after our clock was set back. Changes at most `limit` rows and returns how many. */
  clampFuture(now: number, limit: number): number {
    return this.#statements.clampFuture.run(now, now, limit).changes
  }
}

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  return {
    size: statement('SELECT introductions FROM tally WHERE tally_id = 1').pluck(),
    note: byCount((count) =>
      statement(
        `INSERT INTO introduction (room_id, recipient, asker, noted_at)
         VALUES ${repeat(count, '(?, ?, ?, ?)')} ON CONFLICT DO NOTHING`,
      ),
    ),
    any: statement('SELECT 1 FROM introduction WHERE room_id = ? AND recipient = ? LIMIT 1').pluck(),
    settle: byCount((count) =>
      statement(
        `DELETE FROM introduction WHERE room_id = ? AND recipient = ? AND asker IN (${repeat(count, '?')})`,
      ),
    ),
    oldest: statement('SELECT noted_at FROM introduction ORDER BY noted_at LIMIT 1').pluck(),
    first: statement(
      `SELECT room_id, tag, recipient FROM introduction JOIN room USING (room_id)
       WHERE noted_at <= ? ORDER BY noted_at LIMIT 1`,
    ),
    requesters: statement(
      'SELECT asker FROM introduction WHERE room_id = ? AND recipient = ? ORDER BY noted_at LIMIT ?',
    ).pluck(),
    forget: statement('DELETE FROM introduction WHERE noted_at <= ?'),
    clampFuture: statement(
      `UPDATE introduction SET noted_at = ? WHERE (room_id, recipient, asker) IN
         (SELECT room_id, recipient, asker FROM introduction WHERE noted_at > ? LIMIT ?)`,
    ),
  }
}
