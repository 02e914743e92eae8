// The host's memory, in a file of its own (SQLite) or in tables that several hosts share (PostgreSQL). The commands that
// look after invites and blocked keys may open it beside a running host.

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
  /** The file, or server and database; for people. */
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

  /** All of `work` or nothing; one sync to disk. One that is nested may fail and be caught in the outer one. */
  transaction<T>(work: () => T): T {
    try {
      return this.connection.transaction(work)
    } catch (thrown) {
      this.#rollbacks++
      throw thrown
    }
  }

  /** As `transaction`, begun when no other process is in one; until then this one goes on with its other work. */
  async turn<T>(work: () => T): Promise<T> {
    try {
      return await this.connection.turn(work)
    } catch (thrown) {
      this.#rollbacks++
      throw thrown
    }
  }

  /** As `transaction`, but where there is one already `work` is a part of it, and must not fail alone. */
  inTransaction<T>(work: () => T): T {
    return this.connection.inTransaction ? work() : this.transaction(work)
  }

  /** Grows whenever something that was written is undone: what is remembered of rows may be wrong then. */
  get rollbacks(): number {
    return this.#rollbacks
  }

  counts(): Counts {
    return this.#counts.get() as Counts
  }

  /** Letters signed at this time (Unix ms) or before may have been forgotten from now on. */
  countAsStale(until: number): void {
    this.#countAsStale.run(until, until)
  }

  /** May be called again. */
  close(): void {
    this.connection.close()
  }
}

/** As a column of `tally`: how many mails wait. */
export function mailCount({ isShared }: Connection): string {
  return isShared ? '(SELECT COUNT(*) FROM mail)' : 'mails'
}

/** A file, a PostgreSQL URL, or that with its password. */
export type DatabasePlace = string | PostgresPlace

/** For a host that uses it. Throws a Problem 'database' when it cannot be used; then nothing stays open. A file is for one
 *  host at a time, tables in PostgreSQL are for as many as there are; `:memory:` is for tests. */
export function openHostDatabase(place: DatabasePlace): HostDatabase {
  return open(place, { hold: true })
}

/** For a command that reads or writes a few rows while a host may be running. */
export function openSharedDatabase(place: DatabasePlace): HostDatabase {
  return open(place, { hold: false })
}

function open(place: DatabasePlace, options: { readonly hold: boolean }): HostDatabase {
  const postgres = typeof place !== 'string' ? place : isPostgresUrl(place) ? { url: place } : null
  return postgres
    ? new HostDatabase(nameOfPlace(postgres.url), openPostgres(postgres))
    : new HostDatabase(place as string, openSqlite(place as string, options))
}

/** Whether the database is at fault, rather than what was to be done in it. */
export function isDatabaseFailure(thrown: unknown): boolean {
  return (
    thrown instanceof BetterSqlite3.SqliteError ||
    isPostgresFailure(thrown) ||
    (thrown instanceof Problem && thrown.code === 'database')
  )
}

/** Whether the database is of no use until a person has put another in its place. The next host that opens it will look
 *  through it first. */
export function meetsDamage({ path }: HostDatabase, problem: Problem): boolean {
  if (!isDamage(problem)) return false
  noteDamage(path)
  return true
}

/** The sentence for whatever the database threw. `path`: of a HostDatabase. */
export function databaseProblem(path: string, thrown: unknown): Problem {
  return isPostgresUrl(path) ? postgresProblem(path, thrown) : sqliteProblem(path, thrown)
}
