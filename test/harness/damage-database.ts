// Damages a host's database as a failing disk does, even while the host runs.

import { closeSync, openSync, statSync, writeSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'

/** Overwrites all pages except the first with garbage. */
export function damageDatabase(database: string): void {
  // A commit by another program makes the host read its cached pages again.
  const other = new BetterSqlite3(database)
  other.exec('UPDATE tally SET mails = mails + 1')
  const [checkpoint] = other.pragma('wal_checkpoint(TRUNCATE)') as { readonly busy: number }[]
  other.close()
  if (checkpoint?.busy !== 0) throw new Error('the log could not be put back into the file')
  const size = statSync(database).size
  const file = openSync(database, 'r+')
  writeSync(file, new Uint8Array(size - 4_096).fill(0xa5), 0, size - 4_096, 4_096)
  closeSync(file)
}
