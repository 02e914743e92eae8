// Letters that were handled, so that a second copy is recognised. A letter is kept until its signed time alone makes it
// stale, however full the peer table is.

import type { LetterId, UserId } from '../letter/letter-types.ts'
import type { Connection, HostDatabase, Statement } from './host-database.ts'

export type SeenLettersSettings = {
  /** Letters signed longer ago are stale whether remembered or not. */
  readonly freshnessMs: number
  readonly futureToleranceMs: number
  /** Letters remembered, at most. Beyond it the oldest by signed time are forgotten, and from then on
   *  every letter signed as long ago as they were is refused as stale: never is a copy taken for new. */
  readonly capacity: number
}

export class SeenLetters {
  readonly #settings: SeenLettersSettings
  readonly #database: HostDatabase
  readonly #statements: ReturnType<typeof prepare>

  constructor(database: HostDatabase, settings: SeenLettersSettings) {
    this.#settings = settings
    this.#database = database
    this.#statements = prepare(database.connection)
  }

  get size(): number {
    return this.#statements.size.get() as number
  }

  /** What is remembered that bears upon a letter: whether it was taken before, and `forgottenUntil`. */
  memoryOf(sender: UserId, id: LetterId): { readonly isSeen: boolean; readonly forgottenUntil: number } {
    const { seen, forgottenUntil } = this.#statements.memory.get(sender, id) as {
      readonly seen: number
      readonly forgottenUntil: number
    }
    return { isSeen: seen > 0, forgottenUntil }
  }

  /** Unix ms: a letter signed then or before may have been seen and forgotten, so it must count as stale. This
   *  holds even when our clock is set back after letters were forgotten. */
  get forgottenUntil(): number {
    return this.#statements.forgottenUntil.get() as number
  }

  has(sender: UserId, id: LetterId): boolean {
    return this.#statements.has.get(sender, id) !== undefined
  }

  /** Of this sender, signed at `since` (Unix ms) or later, the latest first. */
  latest(sender: UserId, since: number, limit: number): readonly LetterId[] {
    const ids = this.#statements.latest.all(since, sender, limit) as Uint8Array[]
    return ids.map((id) => new Uint8Array(id))
  }

  /** False when it was there already. */
  remember(sender: UserId, id: LetterId, sentAt: number): boolean {
    return this.#database.inTransaction(() => {
      if (this.#statements.add.run(sender, id, sentAt).changes === 0) return false
      const excess = this.size - this.#settings.capacity
      if (excess > 0) this.#forget(Number.MAX_SAFE_INTEGER, excess)
      return true
    })
  }

  /** One small step of housekeeping: forgets at most `limit` letters that are stale by now; says how many. */
  forgetStale(now: number, limit: number): number {
    const before = now - this.#settings.freshnessMs - this.#settings.futureToleranceMs
    return this.#database.transaction(() => this.#forget(before, limit))
  }

  #forget(until: number, limit: number): number {
    const last = this.#statements.oldest.all(until, limit).at(-1) as number | undefined
    if (last === undefined) return 0
    this.#database.countAsStale(last)
    // All letters of that same millisecond go too, or the boundary would not be one.
    return this.#statements.forget.run(last).changes
  }
}

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  return {
    size: statement('SELECT seen_letters FROM tally WHERE tally_id = 1').pluck(),
    forgottenUntil: statement('SELECT forgotten_until FROM tally WHERE tally_id = 1').pluck(),
    memory: statement(
      `SELECT forgotten_until AS "forgottenUntil",
         (SELECT COUNT(*) FROM seen_letter WHERE sender = ? AND letter_id = ?) AS seen FROM tally WHERE tally_id = 1`,
    ),
    has: statement('SELECT 1 FROM seen_letter WHERE sender = ? AND letter_id = ?').pluck(),
    latest: statement(
      'SELECT letter_id FROM seen_letter WHERE sent_at >= ? AND sender = ? ORDER BY sent_at DESC LIMIT ?',
    ).pluck(),
    add: statement(
      'INSERT INTO seen_letter (sender, letter_id, sent_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    oldest: statement('SELECT sent_at FROM seen_letter WHERE sent_at <= ? ORDER BY sent_at LIMIT ?').pluck(),
    forget: statement('DELETE FROM seen_letter WHERE sent_at <= ?'),
  }
}
