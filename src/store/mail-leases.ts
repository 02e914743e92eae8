// Leases on mails in the mailbox and in the outbox, for processes that share the tables: only the owner works on a mail. A
// lease expires, so another process takes over from one that was killed. Letters would not be handled twice even without a
// lease, because seen letters are stored. Mails would be sent twice, so a lease is longer than the longest sending.

import type { Connection, HostDatabase, Statement } from './host-database.ts'
import { laneOf, type Urgency, type WaitingMail, waitingColumns } from './outbox.ts'
import { firstHour, hourOf } from './send-budget.ts'

export class Leases {
  readonly #database: HostDatabase
  /** Different for each process and run. */
  readonly #owner: string
  readonly #statements: ReturnType<typeof prepare>

  constructor(database: HostDatabase, owner: string) {
    this.#database = database
    this.#owner = owner
    this.#statements = prepare(database.connection)
  }

  /** Of these mails of the mailbox, those that nobody else has in hand: they are ours until `until` (Unix ms). */
  letters(names: readonly string[], now: number, until: number): ReadonlySet<string> {
    if (names.length === 0) return new Set()
    const list = JSON.stringify(names)
    return new Set(this.#statements.letters.all(list, this.#owner, until, now) as string[])
  }

  /** Mails that are due, longest due first, as many as `most` of those that are under way anywhere allows. */
  mails(
    urgency: Urgency,
    {
      now,
      until,
      limit,
      most,
    }: { now: number; until: number; limit: number; most: (underWay: number) => number },
  ): readonly WaitingMail[] {
    // Without a budget nothing has to be counted, so no other process has to be waited for.
    if (most(0) === Number.POSITIVE_INFINITY)
      return this.#statements.claimDue.all(laneOf[urgency], now, now, limit, until) as WaitingMail[]
    return this.#database.inTransaction(() => {
      const left = Math.min(limit, most(this.#statements.underWay.get(now) as number))
      if (left <= 0) return []
      const mails = this.#statements.due.all(laneOf[urgency], now, now, left) as WaitingMail[]
      if (mails.length > 0) this.#statements.claim.run(until, listOf(mails))
      return mails
    })
  }

  /** Ends the leases, so that other processes may send these mails. */
  release(mails: readonly WaitingMail[]): void {
    if (mails.length > 0) this.#statements.claim.run(0, listOf(mails))
  }

  /** What nobody waits for any more, `sent` of it because it was sent, is taken out and counted without waiting for other
   *  processes. Only without a budget, which must be known exactly. Says how many were there. */
  settle(mails: readonly WaitingMail[], sent: number, now: number): number {
    if (mails.length === 0) return 0
    const list = JSON.stringify(mails.map(({ order, messageId }) => ({ order, messageId })))
    return this.#statements.settle.get(list, hourOf(now), sent, sent, firstHour(now)) as number
  }

  /** Those without a lease. */
  free(mails: readonly WaitingMail[], now: number): readonly WaitingMail[] {
    const free = new Set(this.#statements.free.all(now, listOf(mails)) as number[])
    return mails.filter(({ order }) => free.has(order))
  }

  /** One small step of housekeeping: forgets claims to letters that are over; and after our clock was set back none lasts
   *  longer than until `latest`. */
  forget(now: number, latest: number, limit: number): number {
    this.#statements.clamp.run(latest, latest)
    return this.#statements.forget.run(now, limit).changes
  }
}

function listOf(mails: readonly WaitingMail[]): string {
  return JSON.stringify(mails.map(({ order }) => order))
}

/** A subquery, so that the commit does not wait for the disk. A crash of the server loses the last second: leases, or the
 *  deletion of a sent mail, which is then sent again with the same bytes and Message-ID. */
const unsynced = `set_config('synchronous_commit', 'off', true) AS unsynced`

/** For PostgreSQL only: a SQLite file has one host. */
function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  const listed = '(SELECT value::bigint FROM json_array_elements_text(?::json) AS value)'
  return {
    letters: statement(
      `WITH listed AS (SELECT value FROM json_array_elements_text(?::json) AS value, ${unsynced})
       INSERT INTO letter_claim (letter, owner, claimed_until) SELECT value, ?, ? FROM listed ORDER BY value
       ON CONFLICT (letter) DO UPDATE SET owner = excluded.owner, claimed_until = excluded.claimed_until
         WHERE letter_claim.claimed_until <= ? OR letter_claim.owner = excluded.owner
       RETURNING letter`,
    ).pluck(),
    underWay: statement('SELECT COUNT(*) FROM mail WHERE claimed_until > 0 AND claimed_until > ?').pluck(),
    due: statement(
      `SELECT ${waitingColumns} FROM mail WHERE lane = ? AND next_attempt_at <= ? AND claimed_until <= ?
       ORDER BY next_attempt_at, mail_order LIMIT ?`,
    ),
    claimDue: statement(
      `WITH due AS (
         SELECT mail_order FROM mail, ${unsynced} WHERE lane = ? AND next_attempt_at <= ? AND claimed_until <= ?
         ORDER BY next_attempt_at, mail_order LIMIT ? FOR UPDATE OF mail SKIP LOCKED),
       claimed AS (
         UPDATE mail SET claimed_until = ? FROM due WHERE mail.mail_order = due.mail_order RETURNING mail.*)
       SELECT ${waitingColumns}, raw FROM claimed ORDER BY next_attempt_at, mail_order`,
    ),
    claim: statement(`UPDATE mail SET claimed_until = ? WHERE mail_order IN ${listed}`),
    settle: statement(
      `WITH gone AS (
         DELETE FROM mail USING json_to_recordset(?::json) AS listed ("order" bigint, "messageId" text), ${unsynced}
         WHERE mail_order = listed."order" AND message_id = listed."messageId" RETURNING 1),
       counted AS (
         INSERT INTO sent_hour (hour, mails) SELECT ?::bigint, ?::bigint WHERE ?::bigint > 0
         ON CONFLICT (hour) DO UPDATE SET mails = sent_hour.mails + excluded.mails),
       forgotten AS (DELETE FROM sent_hour WHERE hour < ?)
       SELECT COUNT(*) FROM gone`,
    ).pluck(),
    free: statement(
      `SELECT mail_order FROM mail WHERE claimed_until <= ? AND mail_order IN ${listed}`,
    ).pluck(),
    clamp: statement('UPDATE mail SET claimed_until = ? WHERE claimed_until > 0 AND claimed_until > ?'),
    forget: statement(
      `DELETE FROM letter_claim WHERE letter IN
         (SELECT letter FROM letter_claim WHERE claimed_until <= ? ORDER BY claimed_until LIMIT ?)`,
    ),
  }
}
