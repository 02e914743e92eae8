// That one host at a time uses a database. SQLite's own exclusive lock would keep commands and backups out too, so the
// lock is on an empty file beside it. The system releases it when the host ends, however it ends.

import { chmodSync, closeSync, openSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'

export class DatabaseLock {
  readonly #connection: BetterSqlite3.Database

  private constructor(connection: BetterSqlite3.Database) {
    this.#connection = connection
  }

  /** Throws SQLite's SQLITE_BUSY when another host has had it for all of `timeoutMs`. */
  static take(databasePath: string, timeoutMs: number): DatabaseLock {
    const path = `${databasePath}.lock`
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
    const connection = new BetterSqlite3(path, { timeout: timeoutMs })
    try {
      connection.pragma('journal_mode = OFF')
      // Never committed: the file stays empty.
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
