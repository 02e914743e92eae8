// Agents that left, and when. Mails overtake each other: a request that was sent before the goodbye and comes after it must
// not bring the agent back.

import type { UserId } from '../letter/letter-types.ts'
import type { Connection, HostDatabase, Statement } from './host-database.ts'

/** At most so many. An agent can leave only if it has an entry, and rows are deleted once such letters are stale. */
const mostDepartures = 100_000

export class LeftAgents {
  readonly #database: HostDatabase
  /** Beyond it the oldest are deleted, and letters signed then or before are stale from then on. */
  readonly #capacity: number
  readonly #statements: ReturnType<typeof prepare>

  constructor(database: HostDatabase, capacity = mostDepartures) {
    this.#database = database
    this.#capacity = capacity
    this.#statements = prepare(database.connection)
  }

  /** Whether the agent left at `sentAt` (Unix ms, signed) or later. */
  isSince(roomId: number, user: UserId, sentAt: number): boolean {
    return this.#statements.since.get(roomId, user, sentAt) !== undefined
  }

  note(roomId: number, user: UserId, sentAt: number): void {
    this.#statements.note.run(roomId, user, sentAt)
    const excess = (this.#statements.size.get() as number) - this.#capacity
    if (excess > 0) this.#forget(Number.MAX_SAFE_INTEGER, excess)
  }

  /** Those at `until` or before, at least `limit` of them; says how many. */
  forget(until: number, limit: number): number {
    return this.#database.inTransaction(() => this.#forget(until, limit))
  }

  #forget(until: number, limit: number): number {
    const last = this.#statements.oldest.all(until, limit).at(-1) as number | undefined
    if (last === undefined) return 0
    this.#database.countAsStale(last)
    return this.#statements.forget.run(last).changes
  }
}

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  return {
    size: statement('SELECT departures FROM tally WHERE tally_id = 1').pluck(),
    since: statement('SELECT 1 FROM departure WHERE room_id = ? AND user_id = ? AND sent_at >= ?').pluck(),
    note: statement(
      `INSERT INTO departure (room_id, user_id, sent_at) VALUES (?, ?, ?)
       ON CONFLICT (room_id, user_id) DO UPDATE SET sent_at = excluded.sent_at
       WHERE excluded.sent_at > departure.sent_at`,
    ),
    oldest: statement('SELECT sent_at FROM departure WHERE sent_at <= ? ORDER BY sent_at LIMIT ?').pluck(),
    forget: statement('DELETE FROM departure WHERE sent_at <= ?'),
  }
}
