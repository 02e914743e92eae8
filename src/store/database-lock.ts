// A lock that lets only one host at a time use a SQLite database. SQLite's own exclusive lock would also block commands and
// backups, so the lock is on an empty file beside the database. The system releases it when the process ends or is killed.

import { chmodSync, closeSync, openSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'

export class DatabaseLock {
  readonly #connection: BetterSqlite3.Database

  private constructor(connection: BetterSqlite3.Database) {
    this.#connection = connection
  }

  /** Throws SQLITE_BUSY if another host still has the lock after `timeoutMs`. */
  static acquire(databasePath: string, timeoutMs: number): DatabaseLock {
    const path = `${databasePath}.lock`
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
    const connection = new BetterSqlite3(path, { timeout: timeoutMs })
    try {
      connection.pragma('journal_mode = OFF')
      // This transaction is never committed, so the file stays empty.
      connection.exec('BEGIN EXCLUSIVE')
      return new DatabaseLock(connection)
    } catch (thrown) {
      connection.close()
      throw thrown
    }
  }

  /** May be called again. */
  release(): void {
    this.#connection.close()
  }
}
