// Spoils a host's database as a failing disk does, also while the host runs.

import { closeSync, openSync, statSync, writeSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'

/** Bytes of nobody's over all pages but the first. */
export function damageDatabase(database: string): void {
  // Another program's commit makes the host read again what it has in memory.
  const other = new BetterSqlite3(database)
  other.exec('UPDATE tally SET mails = mails + 1')
  const [told] = other.pragma('wal_checkpoint(TRUNCATE)') as { readonly busy: number }[]
  other.close()
  if (told?.busy !== 0) throw new Error('the log could not be put back into the file')
  const size = statSync(database).size
  const file = openSync(database, 'r+')
  writeSync(file, new Uint8Array(size - 4_096).fill(0xa5), 0, size - 4_096, 4_096)
  closeSync(file)
}
