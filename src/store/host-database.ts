// The host's database: a file of one host (SQLite), or tables that several host processes share (PostgreSQL).
// Commands that change invites and blocked keys may open it while the host runs.

import BetterSqlite3 from 'better-sqlite3'
import { Problem } from '../base/problem.ts'
import {
  isPostgresFailure,
  isPostgresUrl,
  locationName,
  openPostgres,
  type PostgresLocation,
  postgresProblem,
} from './postgres-database.ts'
import type { Connection, Statement } from './sql-connection.ts'
import { openSqlite, sqliteProblem } from './sqlite-database.ts'
import { isDamage, noteDamage } from './sqlite-integrity.ts'

export type { Connection, Statement } from './sql-connection.ts'

/** Rows with the time at which they were signed: `oldest` (until, limit) gives the times, `forget` (until) deletes. */
type SignedRows = { readonly oldest: Statement; readonly forget: Statement }

export type Counts = {
  readonly entries: number
  readonly seenLetters: number
  readonly mails: number
  readonly introductions: number
}

export class HostDatabase {
  /** The path of the file, or server and database. For messages. */
  readonly path: string
  readonly connection: Connection
  readonly #counts: Statement
  readonly #setForgottenUntil: Statement
  #rollbacks = 0

  constructor(path: string, connection: Connection) {
    this.path = path
    this.connection = connection
    this.#setForgottenUntil = connection.prepare(
      'UPDATE tally SET forgotten_until = ? WHERE forgotten_until < ?',
    )
    this.#counts = connection.prepare(
      `SELECT entries, seen_letters AS "seenLetters", ${mailCount(connection)} AS mails, introductions
       FROM tally WHERE tally_id = 1`,
    )
  }

  /** Commits all changes of `work` or none, with one sync to disk. A nested transaction can fail alone. */
  transaction<T>(work: () => T): T {
    try {
      return this.connection.transaction(work)
    } catch (thrown) {
      this.#rollbacks++
      throw thrown
    }
  }

  /** Like `transaction`, but does not block the thread while it waits for transactions of other processes. */
  async asyncTransaction<T>(work: () => T): Promise<T> {
    try {
      return await this.connection.asyncTransaction(work)
    } catch (thrown) {
      this.#rollbacks++
      throw thrown
    }
  }

  /** Runs `work` in the open transaction, or else in a new one. If `work` throws, the whole transaction must fail. */
  inTransaction<T>(work: () => T): T {
    return this.connection.inTransaction ? work() : this.transaction(work)
  }

  /** The number of rollbacks. Rows that were cached before a rollback may be wrong. */
  get rollbacks(): number {
    return this.#rollbacks
  }

  counts(): Counts {
    return this.#counts.get() as Counts
  }

  /** Deletes about `limit` of the oldest rows, those of `until` (Unix ms) or before: all rows of one time together, because
   *  letters signed then or before are stale from now on. Must run in a transaction. Returns how many. */
  forgetSigned({ oldest, forget }: SignedRows, until: number, limit: number): number {
    const last = oldest.all(until, limit).at(-1) as number | undefined
    if (last === undefined) return 0
    this.countAsStale(last)
    return forget.run(last).changes
  }

  /** Rows of letters signed at `until` (Unix ms) or before may be deleted, so such letters are stale from now on. */
  countAsStale(until: number): void {
    this.#setForgottenUntil.run(until, until)
  }

  /** May be called again. */
  close(): void {
    this.connection.close()
  }
}

/** SQL for the number of mails in the outbox, for a SELECT from `tally`. */
export function mailCount({ isShared }: Connection): string {
  return isShared ? '(SELECT COUNT(*) FROM mail)' : 'mails'
}

/** The path of a file, a PostgreSQL URL, or such a URL with its password. */
export type DatabaseLocation = string | PostgresLocation

/** Opens the database for a host. Throws a Problem 'database' if it cannot be used; then nothing stays open. Only
 *  one host at a time can open a file, any number can open tables in PostgreSQL. `:memory:` is for tests. */
export function openHostDatabase(location: DatabaseLocation): HostDatabase {
  return open(location, { exclusive: true })
}

/** Opens the database for a command that reads or writes a few rows. A host may run meanwhile. */
export function openSharedDatabase(location: DatabaseLocation): HostDatabase {
  return open(location, { exclusive: false })
}

function open(location: DatabaseLocation, options: { readonly exclusive: boolean }): HostDatabase {
  const postgres =
    typeof location !== 'string' ? location : isPostgresUrl(location) ? { url: location } : null
  return postgres
    ? new HostDatabase(locationName(postgres.url), openPostgres(postgres))
    : new HostDatabase(location as string, openSqlite(location as string, options))
}

/** Whether the database failed. False for errors of the code that used it. */
export function isDatabaseFailure(thrown: unknown): boolean {
  return (
    thrown instanceof BetterSqlite3.SqliteError ||
    isPostgresFailure(thrown) ||
    (thrown instanceof Problem && thrown.code === 'database')
  )
}

/** Whether the file is damaged, so that a person must replace it. Stores a note beside the file: the next host
 *  that opens it then checks the whole file. */
export function noteIfDamaged({ path }: HostDatabase, problem: Problem): boolean {
  if (!isDamage(problem)) return false
  noteDamage(path)
  return true
}

/** The Problem for an error of the database. `path`: the `path` of the HostDatabase. */
export function databaseProblem(path: string, thrown: unknown): Problem {
  return isPostgresUrl(path) ? postgresProblem(path, thrown) : sqliteProblem(path, thrown)
}
