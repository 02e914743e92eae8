// Introductions that are to be sent: a recipient and the askers it is to be told of (C2). They are in the database, so a host
// that was killed sends them after its restart.

import { chunksOf } from '../base/list-chunks.ts'
import type { RoomTag, UserId } from '../letter/letter-types.ts'
import { forCount, mostRows, times } from './batch-sql.ts'
import type { Connection, HostDatabase, Statement } from './host-database.ts'
import { RoomIds } from './room-ids.ts'

/** Pairs waiting, at most; when it is full, new ones are not noted: the asker punches all the same, and
 *  whoever it was offered learns of it with its own next reply. */
const maxPairs = 100_000

export type OwedIntroduction = {
  readonly room: RoomTag
  readonly recipient: UserId
  /** Longest waiting first. */
  readonly askers: readonly UserId[]
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

  /** The asker is to be made known to the recipients. The room must have had an entry. */
  note(room: RoomTag, recipients: readonly UserId[], asker: UserId, now: number): void {
    const roomId = this.#rooms.of(room)
    if (roomId === null || recipients.length === 0 || this.size + recipients.length > maxPairs) return
    for (const some of chunksOf(recipients, mostRows)) {
      const values = some.flatMap((recipient) => [roomId, recipient, asker, now])
      this.#statements.note(some.length).run(...values)
    }
  }

  /** The recipient knows the askers by now, or one of them is gone. */
  settle(room: RoomTag, recipient: UserId, askers: readonly UserId[]): void {
    const roomId = this.#rooms.of(room)
    if (roomId === null || this.#statements.any.get(roomId, recipient) === undefined) return
    for (const some of chunksOf(askers, mostRows))
      this.#statements.settle(some.length).run(roomId, recipient, ...some)
  }

  /** Unix ms when the longest waiting was noted; null when nobody waits. */
  oldestNotedAt(): number | null {
    return (this.#statements.oldest.get() as number | undefined) ?? null
  }

  /** The one whose oldest asker was noted longest ago, if that is at `notedUntil` (Unix ms) or before. */
  next(notedUntil: number, maxAskers: number): OwedIntroduction | null {
    const first = this.#statements.first.get(notedUntil) as
      | { room_id: number; tag: Uint8Array; recipient: Uint8Array }
      | undefined
    if (first === undefined) return null
    const askers = this.#statements.askers.all(first.room_id, first.recipient, maxAskers) as Uint8Array[]
    return {
      room: new Uint8Array(first.tag),
      recipient: new Uint8Array(first.recipient),
      askers: askers.map((asker) => new Uint8Array(asker)),
    }
  }

  /** Those noted at `notedUntil` (Unix ms) or before come too late to be of use. */
  forget(notedUntil: number): void {
    this.#statements.forget.run(notedUntil)
  }

  /** After our clock was set back, so that nobody waits for it to catch up. At most `limit` a step. */
  clampFuture(now: number, limit: number): number {
    return this.#statements.clampFuture.run(now, now, limit).changes
  }
}

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  return {
    size: statement('SELECT introductions FROM tally WHERE tally_id = 1').pluck(),
    note: forCount((count) =>
      statement(
        `INSERT INTO introduction (room_id, recipient, asker, noted_at)
         VALUES ${times(count, '(?, ?, ?, ?)')} ON CONFLICT DO NOTHING`,
      ),
    ),
    any: statement('SELECT 1 FROM introduction WHERE room_id = ? AND recipient = ? LIMIT 1').pluck(),
    settle: forCount((count) =>
      statement(
        `DELETE FROM introduction WHERE room_id = ? AND recipient = ? AND asker IN (${times(count, '?')})`,
      ),
    ),
    oldest: statement('SELECT noted_at FROM introduction ORDER BY noted_at LIMIT 1').pluck(),
    first: statement(
      `SELECT room_id, tag, recipient FROM introduction JOIN room USING (room_id)
       WHERE noted_at <= ? ORDER BY noted_at LIMIT 1`,
    ),
    askers: statement(
      'SELECT asker FROM introduction WHERE room_id = ? AND recipient = ? ORDER BY noted_at LIMIT ?',
    ).pluck(),
    forget: statement('DELETE FROM introduction WHERE noted_at <= ?'),
    clampFuture: statement(
      `UPDATE introduction SET noted_at = ? WHERE (room_id, recipient, asker) IN
         (SELECT room_id, recipient, asker FROM introduction WHERE noted_at > ? LIMIT ?)`,
    ),
  }
}
