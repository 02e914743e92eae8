// Letters that were handled, so that a second copy is recognised. A letter is stored until it is stale by its signed
// time.

import type { LetterId, UserId } from '../letter/letter-types.ts'
import type { Connection, HostDatabase, Statement } from './host-database.ts'

export type SeenLettersSettings = {
  /** Letters signed longer ago are stale, whether they are stored or not. */
  readonly freshnessMs: number
  readonly futureToleranceMs: number
  /** Stored letters, at most. Beyond this those with the oldest signed time are deleted. From then on every letter
   *  signed at that time or before is stale, so a copy is never taken for new. */
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

  /** Whether this letter was handled before, and `forgottenUntil`. */
  lookUp(sender: UserId, id: LetterId): { readonly isSeen: boolean; readonly forgottenUntil: number } {
    const { seen, forgottenUntil } = this.#statements.lookUp.get(sender, id) as {
      readonly seen: number
      readonly forgottenUntil: number
    }
    return { isSeen: seen > 0, forgottenUntil }
  }

  /** Unix ms. A letter signed at this time or before may have been handled and deleted, so it is stale. This is
   *  true even if our clock was set back since. */
  get forgottenUntil(): number {
    return this.#statements.forgottenUntil.get() as number
  }

  has(sender: UserId, id: LetterId): boolean {
    return this.#statements.has.get(sender, id) !== undefined
  }

  /** Letters of this sender that were signed at `since` (Unix ms) or later, latest first. */
  latest(sender: UserId, since: number, limit: number): readonly LetterId[] {
    const ids = this.#statements.latest.all(since, sender, limit) as Uint8Array[]
    return ids.map((id) => new Uint8Array(id))
  }

  /** False if the letter is stored already. */
  remember(sender: UserId, id: LetterId, sentAt: number): boolean {
    return this.#database.inTransaction(() => {
      if (this.#statements.add.run(sender, id, sentAt).changes === 0) return false
      const excess = this.size - this.#settings.capacity
      if (excess > 0) this.#database.forgetSigned(this.#statements, Number.MAX_SAFE_INTEGER, excess)
      return true
    })
  }

  /** Deletes about `limit` letters that are stale by now. Returns how many. */
  forgetStale(now: number, limit: number): number {
    const before = now - this.#settings.freshnessMs - this.#settings.futureToleranceMs
    return this.#database.transaction(() => this.#database.forgetSigned(this.#statements, before, limit))
  }
}

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  return {
    size: statement('SELECT seen_letters FROM tally WHERE tally_id = 1').pluck(),
    forgottenUntil: statement('SELECT forgotten_until FROM tally WHERE tally_id = 1').pluck(),
    lookUp: statement(
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
