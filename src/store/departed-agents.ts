// Agents that left, and when. A mail can overtake another: a request that was signed before the leave letter and
// comes after it must not bring the agent back.

import type { UserId } from '../letter/letter-types.ts'
import type { Connection, HostDatabase, Statement } from './host-database.ts'

/** Stored rows, at most. Only agents with an entry can leave, and rows are deleted when such requests are stale. */
const mostLeft = 100_000

export class DepartedAgents {
  readonly #database: HostDatabase
  /** Beyond this the oldest rows are deleted, and letters signed at that time or before are stale from then on. */
  readonly #capacity: number
  readonly #statements: ReturnType<typeof prepare>

  constructor(database: HostDatabase, capacity = mostLeft) {
    this.#database = database
    this.#capacity = capacity
    this.#statements = prepare(database.connection)
  }

  /** Whether the agent left at `sentAt` (Unix ms, signed) or later. */
  hasLeftSince(roomId: number, user: UserId, sentAt: number): boolean {
    return this.#statements.since.get(roomId, user, sentAt) !== undefined
  }

  add(roomId: number, user: UserId, sentAt: number): void {
    this.#statements.add.run(roomId, user, sentAt)
    const excess = (this.#statements.size.get() as number) - this.#capacity
    if (excess > 0) this.#database.forgetSigned(this.#statements, Number.MAX_SAFE_INTEGER, excess)
  }

  /** Deletes about `limit` rows with a time of `until` (Unix ms) or before. Returns how many. */
  forget(until: number, limit: number): number {
    return this.#database.inTransaction(() => this.#database.forgetSigned(this.#statements, until, limit))
  }
}

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  return {
    size: statement('SELECT departures FROM tally WHERE tally_id = 1').pluck(),
    since: statement('SELECT 1 FROM departure WHERE room_id = ? AND user_id = ? AND sent_at >= ?').pluck(),
    add: statement(
      `INSERT INTO departure (room_id, user_id, sent_at) VALUES (?, ?, ?)
       ON CONFLICT (room_id, user_id) DO UPDATE SET sent_at = excluded.sent_at
       WHERE excluded.sent_at > departure.sent_at`,
    ),
    oldest: statement('SELECT sent_at FROM departure WHERE sent_at <= ? ORDER BY sent_at LIMIT ?').pluck(),
    forget: statement('DELETE FROM departure WHERE sent_at <= ?'),
  }
}
