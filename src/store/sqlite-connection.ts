// A Connection to SQLite. Beside the host, commands may write a few rows.

import type BetterSqlite3 from 'better-sqlite3'
import type { Connection, Statement, Value } from './sql-connection.ts'

export class SqliteConnection implements Connection {
  readonly isShared = false
  readonly #database: BetterSqlite3.Database
  readonly #onClosed: () => void
  readonly #transaction: BetterSqlite3.Transaction<(work: () => unknown) => unknown>

  constructor(database: BetterSqlite3.Database, onClosed: () => void) {
    this.#database = database
    this.#onClosed = onClosed
    // Created once, because this costs as much as a whole transaction.
    this.#transaction = database.transaction((work: () => unknown) => work())
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
    return this.#transaction.immediate(work) as T
  }

  async asyncTransaction<T>(work: () => T): Promise<T> {
    return this.transaction(work)
  }

  close(): void {
    this.#database.close()
    this.#onClosed()
  }
}
