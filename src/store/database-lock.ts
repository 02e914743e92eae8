// The lock that lets only one host at a time use a database. SQLite's own exclusive lock would keep commands and backups out
// too, so the lock is on an empty file beside it. The system releases it when the process ends, also when it is killed.

import { chmodSync, closeSync, openSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'

export class DatabaseLock {
  readonly #connection: BetterSqlite3.Database

  private constructor(connection: BetterSqlite3.Database) {
    this.#connection = connection
  }

  /** Throws SQLITE_BUSY when another host still has it after `timeoutMs`. */
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
