// A Connection to SQLite. The host writes; commands may write a few rows meanwhile.

import type BetterSqlite3 from 'better-sqlite3'
import type { Connection, Statement, Value } from './sql-connection.ts'

export class SqliteConnection implements Connection {
  readonly isShared = false
  readonly #database: BetterSqlite3.Database
  readonly #onClosed: () => void
  readonly #atomically: BetterSqlite3.Transaction<(work: () => unknown) => unknown>

  constructor(database: BetterSqlite3.Database, onClosed: () => void) {
    this.#database = database
    this.#onClosed = onClosed
    // Made once: making it costs as much as a whole transaction.
    this.#atomically = database.transaction((work: () => unknown) => work())
  }

  get inTransaction(): boolean {
    return this.#database.inTransaction
  }

  prepare(sql: string): Statement {
    return this.#database.prepare<Value[]>(sql)
  }

  exec(sql: string): void {
    this.#database.exec(sql)
  }

  transaction<T>(work: () => T): T {
    return this.#atomically.immediate(work) as T
  }

  async turn<T>(work: () => T): Promise<T> {
    return this.transaction(work)
  }

  close(): void {
    this.#database.close()
    this.#onClosed()
  }
}
