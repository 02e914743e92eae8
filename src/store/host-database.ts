// The host's database: a file of its own (SQLite), or tables that several hosts share (PostgreSQL). Commands that change
// invites and blocked keys may open it while the host runs.

import BetterSqlite3 from 'better-sqlite3'
import { Problem } from '../base/problem.ts'
import {
  isPostgresFailure,
  isPostgresUrl,
  nameOfPlace,
  openPostgres,
  type PostgresPlace,
  postgresProblem,
} from './postgres-database.ts'
import type { Connection, Statement } from './sql-connection.ts'
import { openSqlite, sqliteProblem } from './sqlite-database.ts'
import { isDamage, noteDamage } from './sqlite-integrity.ts'

export type { Connection, Statement } from './sql-connection.ts'

export type Counts = {
  readonly entries: number
  readonly seenLetters: number
  readonly mails: number
  readonly introductions: number
}

export class HostDatabase {
  /** The file, or server and database, as messages name it. */
  readonly path: string
  readonly connection: Connection
  readonly #counts: Statement
  readonly #countAsStale: Statement
  #rollbacks = 0

  constructor(path: string, connection: Connection) {
    this.path = path
    this.connection = connection
    this.#countAsStale = connection.prepare('UPDATE tally SET forgotten_until = ? WHERE forgotten_until < ?')
    this.#counts = connection.prepare(
      `SELECT entries, seen_letters AS "seenLetters", ${mailCount(connection)} AS mails, introductions
       FROM tally WHERE tally_id = 1`,
    )
  }

  /** Commits all of `work` or nothing, with one sync to disk. A nested transaction may fail without the outer one. */
  transaction<T>(work: () => T): T {
    try {
      return this.connection.transaction(work)
    } catch (thrown) {
      this.#rollbacks++
      throw thrown
    }
  }

  /** As `transaction`, but waits without blocking the thread until no other process is in a transaction. */
  async turn<T>(work: () => T): Promise<T> {
    try {
      return await this.connection.turn(work)
    } catch (thrown) {
      this.#rollbacks++
      throw thrown
    }
  }

  /** Runs `work` in the open transaction, or in a new one. In an open one a failure must not be caught there. */
  inTransaction<T>(work: () => T): T {
    return this.connection.inTransaction ? work() : this.transaction(work)
  }

  /** Grows with every rollback: rows that were cached before it may be wrong. */
  get rollbacks(): number {
    return this.#rollbacks
  }

  counts(): Counts {
    return this.#counts.get() as Counts
  }

  /** From now on letters signed at this time (Unix ms) or before are stale, as their rows may be deleted. */
  countAsStale(until: number): void {
    this.#countAsStale.run(until, until)
  }

  /** May be called again. */
  close(): void {
    this.connection.close()
  }
}

/** SQL for the number of mails in the outbox, in a SELECT from `tally`. */
export function mailCount({ isShared }: Connection): string {
  return isShared ? '(SELECT COUNT(*) FROM mail)' : 'mails'
}

/** A file, a PostgreSQL URL, or that with its password. */
export type DatabasePlace = string | PostgresPlace

/** For a host. Throws a Problem 'database' when it cannot be used; then nothing stays open. One host at a time can open a
 *  file, any number can open tables in PostgreSQL. `:memory:` is for tests. */
export function openHostDatabase(place: DatabasePlace): HostDatabase {
  return open(place, { exclusive: true })
}

/** For a command that reads or writes a few rows, whether a host runs or not. */
export function openSharedDatabase(place: DatabasePlace): HostDatabase {
  return open(place, { exclusive: false })
}

function open(place: DatabasePlace, options: { readonly exclusive: boolean }): HostDatabase {
  const postgres = typeof place !== 'string' ? place : isPostgresUrl(place) ? { url: place } : null
  return postgres
    ? new HostDatabase(nameOfPlace(postgres.url), openPostgres(postgres))
    : new HostDatabase(place as string, openSqlite(place as string, options))
}

/** Whether the database failed, and not what was done in it. */
export function isDatabaseFailure(thrown: unknown): boolean {
  return (
    thrown instanceof BetterSqlite3.SqliteError ||
    isPostgresFailure(thrown) ||
    (thrown instanceof Problem && thrown.code === 'database')
  )
}

/** Whether the file is damaged, so that a person has to replace it. Then the next host that opens it checks all of it
 *  first. */
export function meetsDamage({ path }: HostDatabase, problem: Problem): boolean {
  if (!isDamage(problem)) return false
  noteDamage(path)
  return true
}

/** The Problem for what the database threw, with a sentence for people. `path`: of a HostDatabase. */
export function databaseProblem(path: string, thrown: unknown): Problem {
  return isPostgresUrl(path) ? postgresProblem(path, thrown) : sqliteProblem(path, thrown)
}
