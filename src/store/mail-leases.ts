// Leases on mails in the mailbox and in the outbox, for host processes that share the tables. Only the owner of a lease works
// on the mail. A lease expires, so another process takes over if one was killed. Without a lease a mail of the outbox would be
// sent twice, so a lease is longer than the longest sending. A letter is never handled twice, because seen letters are stored.

import type { Connection, HostDatabase, Statement } from './host-database.ts'
import { laneOf, type Urgency, type WaitingMail, waitingColumns } from './outbox.ts'
import { firstHour, hourOf } from './send-budget.ts'

export class MailLeases {
  readonly #database: HostDatabase
  /** Different for each process and run. */
  readonly #owner: string
  readonly #statements: ReturnType<typeof prepare>

  constructor(database: HostDatabase, owner: string) {
    this.#database = database
    this.#owner = owner
    this.#statements = prepare(database.connection)
  }

  /** Leases mails of the mailbox until `until` (Unix ms). Returns the names of those that no other process has leased. */
  leaseLetters(names: readonly string[], now: number, until: number): ReadonlySet<string> {
    if (names.length === 0) return new Set()
    const list = JSON.stringify(names)
    return new Set(this.#statements.leaseLetters.all(list, this.#owner, until, now) as string[])
  }

  /** Leases mails of the outbox that are due, longest due first. `most`: how many more may be sent while this many are being
   *  sent by all processes. */
  leaseMails(
    urgency: Urgency,
    {
      now,
      until,
      limit,
      most,
    }: { now: number; until: number; limit: number; most: (underWay: number) => number },
  ): readonly WaitingMail[] {
    // Without a budget nothing must be counted, so there is no need to wait for other processes.
    if (most(0) === Number.POSITIVE_INFINITY)
      return this.#statements.leaseDue.all(laneOf[urgency], now, now, limit, until) as WaitingMail[]
    return this.#database.inTransaction(() => {
      const left = Math.min(limit, most(this.#statements.underWay.get(now) as number))
      if (left <= 0) return []
      const mails = this.#statements.due.all(laneOf[urgency], now, now, left) as WaitingMail[]
      if (mails.length > 0) this.#statements.setLease.run(until, listOf(mails))
      return mails
    })
  }

  /** Ends the leases, so that other processes can send these mails. */
  release(mails: readonly WaitingMail[]): void {
    if (mails.length > 0) this.#statements.setLease.run(0, listOf(mails))
  }

  /** Removes finished mails from the outbox and counts `sent` of them as sent. Does not wait for other processes, so it must
   *  not be used with a budget, which needs exact counts. Returns how many mails were removed. */
  removeFinished(mails: readonly WaitingMail[], sent: number, now: number): number {
    if (mails.length === 0) return 0
    const list = JSON.stringify(mails.map(({ order, messageId }) => ({ order, messageId })))
    return this.#statements.removeFinished.get(list, hourOf(now), sent, sent, firstHour(now)) as number
  }

  /** Those of the mails that have no lease. */
  withoutLease(mails: readonly WaitingMail[], now: number): readonly WaitingMail[] {
    const unleased = new Set(this.#statements.withoutLease.all(now, listOf(mails)) as number[])
    return mails.filter(({ order }) => unleased.has(order))
  }

  /** Deletes at most `limit` expired leases of letters and returns how many. Also shortens leases of mails to `latest` (Unix
   *  ms), in case our clock was set back. */
  forgetExpired(now: number, latest: number, limit: number): number {
    this.#statements.clamp.run(latest, latest)
    return this.#statements.forget.run(now, limit).changes
  }
}

function listOf(mails: readonly WaitingMail[]): string {
  return JSON.stringify(mails.map(({ order }) => order))
}

/** As a subquery in a statement, this makes the commit not wait for the disk. A crash of the server then loses the last second.
 *  A lost deletion of a sent mail is harmless: the mail is sent again with the same bytes and Message-ID. */
const unsynced = `set_config('synchronous_commit', 'off', true) AS unsynced`

/** For PostgreSQL only: a SQLite file has one host. */
function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  const listed = '(SELECT value::bigint FROM json_array_elements_text(?::json) AS value)'
  return {
    leaseLetters: statement(
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
    leaseDue: statement(
      `WITH due AS (
         SELECT mail_order FROM mail, ${unsynced} WHERE lane = ? AND next_attempt_at <= ? AND claimed_until <= ?
         ORDER BY next_attempt_at, mail_order LIMIT ? FOR UPDATE OF mail SKIP LOCKED),
       claimed AS (
         UPDATE mail SET claimed_until = ? FROM due WHERE mail.mail_order = due.mail_order RETURNING mail.*)
       SELECT ${waitingColumns}, raw FROM claimed ORDER BY next_attempt_at, mail_order`,
    ),
    setLease: statement(`UPDATE mail SET claimed_until = ? WHERE mail_order IN ${listed}`),
    removeFinished: statement(
      `WITH gone AS (
         DELETE FROM mail USING json_to_recordset(?::json) AS listed ("order" bigint, "messageId" text), ${unsynced}
         WHERE mail_order = listed."order" AND message_id = listed."messageId" RETURNING 1),
       counted AS (
         INSERT INTO sent_hour (hour, mails) SELECT ?::bigint, ?::bigint WHERE ?::bigint > 0
         ON CONFLICT (hour) DO UPDATE SET mails = sent_hour.mails + excluded.mails),
       forgotten AS (DELETE FROM sent_hour WHERE hour < ?)
       SELECT COUNT(*) FROM gone`,
    ).pluck(),
    withoutLease: statement(
      `SELECT mail_order FROM mail WHERE claimed_until <= ? AND mail_order IN ${listed}`,
    ).pluck(),
    clamp: statement('UPDATE mail SET claimed_until = ? WHERE claimed_until > 0 AND claimed_until > ?'),
    forget: statement(
      `DELETE FROM letter_claim WHERE letter IN
         (SELECT letter FROM letter_claim WHERE claimed_until <= ? ORDER BY claimed_until LIMIT ?)`,
    ),
  }
}
