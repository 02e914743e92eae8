// Opens the host's SQLite file with settings that lose no commit, and migrates it to this version. Throws a Problem if the
// file cannot be used.

import { chmodSync, closeSync, openSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { messageOf, Problem } from '../base/problem.ts'
import { DatabaseLock } from './database-lock.ts'
import { SqliteConnection } from './sqlite-connection.ts'
import { checkIntegrity, checkModeFor, damageProblem, isDamage, noteDamage } from './sqlite-integrity.ts'
import { applicationId, migrations, recountSql } from './sqlite-schema.ts'

/** SQLite's own page cache. Other pages are in the page cache of the system. That does not count as memory of our process, but
 *  with mmap it would. */
const cacheBytes = 4 * 1024 * 1024

/** How long to wait for another host's lock or a command's transaction. Long enough for a host that is just stopping, and
 *  short enough for a person who waits. */
export const busyTimeoutMs = 3_000

/** Linux statfs types of file systems whose locks and syncs SQLite cannot trust: NFS, SMB, CIFS, SMB2, AFS, Ceph. */
const networkFileSystems = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x5346414f, 0x00c36400])

/** Throws a Problem 'database' if the file cannot be used; then nothing stays open. `exclusive`: no other host can open the
 *  file until the connection is closed. `:memory:` is for tests. */
export function openSqlite(path: string, { exclusive }: { readonly exclusive: boolean }): SqliteConnection {
  if (path === ':memory:') return open(path, null)
  prepareFile(path)
  const lock = exclusive ? takeLock(path) : null
  try {
    return open(path, lock)
  } catch (thrown) {
    lock?.release()
    throw thrown
  }
}

function open(path: string, lock: DatabaseLock | null): SqliteConnection {
  const check = lock ? checkModeFor(path) : 'none'
  try {
    const connection = new BetterSqlite3(path, { timeout: busyTimeoutMs })
    try {
      connection.pragma(`cache_size = ${-cacheBytes / 1024}`)
      connection.pragma('mmap_size = 0')
      connection.pragma('temp_store = MEMORY')
      connection.pragma('journal_mode = WAL')
      connection.pragma('synchronous = FULL')
      connection.pragma('foreign_keys = ON')
      connection.pragma('trusted_schema = OFF')
      schemaVersionOf(path, connection)
      checkIntegrity(path, connection, check)
      migrate(path, connection)
      if (lock) connection.exec(recountSql)
      return new SqliteConnection(connection, () => lock?.release())
    } catch (thrown) {
      if (lock && isDamage(thrown)) noteDamage(path)
      connection.close()
      throw thrown
    }
  } catch (thrown) {
    throw sqliteProblem(path, thrown)
  }
}

function takeLock(path: string): DatabaseLock {
  try {
    return DatabaseLock.acquire(path, busyTimeoutMs)
  } catch (thrown) {
    if (!isBusy(thrown)) throw sqliteProblem(path, thrown)
    throw new Problem(
      'database',
      `Another host is using the database ${path}.`,
      'Stop that one first, or give this one its own file.',
      { cause: thrown },
    )
  }
}

/** Throws a Problem 'database' for a folder on a network file system. */
export function refuseNetworkDisk(path: string): void {
  if (!networkFileSystems.has(statfsSync(dirname(path)).type >>> 0)) return
  throw new Problem(
    'database',
    `The host's database ${path} is on a network file system, where it would be damaged some day.`,
    'Move it to a local disk.',
  )
}

function prepareFile(path: string): void {
  try {
    refuseNetworkDisk(path)
    // SQLite would create the file with the process's umask. Its WAL and shm files get the mode of this one.
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
  } catch (thrown) {
    if (thrown instanceof Problem) throw thrown
    throw new Problem(
      'database',
      `The host's database ${path} cannot be opened: ${messageOf(thrown)}.`,
      'Check that its folder exists and that this user may write there.',
      { cause: thrown },
    )
  }
}

/** The version of the file's tables; 0 if it has none yet. Throws a Problem 'database' if the file is of another program or
 *  of a newer version. */
export function schemaVersionOf(path: string, connection: BetterSqlite3.Database): number {
  const version = connection.pragma('user_version', { simple: true }) as number
  const application = connection.pragma('application_id', { simple: true }) as number
  const tables = connection.prepare('SELECT COUNT(*) FROM sqlite_schema').pluck().get() as number
  if (application !== applicationId && (tables > 0 || version > 0)) {
    throw new Problem(
      'database',
      `The file ${path} is a database of another program.`,
      'Give the host another path. It creates the file itself.',
    )
  }
  if (version > migrations.length) {
    throw new Problem(
      'database',
      `The host's database ${path} was written by a newer peerpost (its version is ${version}, ours ${migrations.length}).`,
      'Install that version again, or give this one a new file.',
    )
  }
  return version
}

function migrate(path: string, connection: BetterSqlite3.Database): void {
  const version = schemaVersionOf(path, connection)
  const step = connection.transaction((next: number) => {
    // Another process may have migrated it meanwhile.
    if (connection.pragma('user_version', { simple: true }) !== next) return
    connection.exec(migrations[next] ?? '')
    connection.pragma(`application_id = ${applicationId}`)
    connection.pragma(`user_version = ${next + 1}`)
  })
  for (let next = version; next < migrations.length; next++) step.immediate(next)
}

/** The Problem for an error of SQLite. */
export function sqliteProblem(path: string, thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown
  if (isDamage(thrown)) return damageProblem(path, thrown)
  const [message, remedy] = messageAndRemedy(path, thrown)
  return new Problem('database', message, remedy, { cause: thrown })
}

function codeOf(thrown: unknown): string {
  return thrown instanceof BetterSqlite3.SqliteError ? thrown.code : ''
}

/** Whether another connection has the lock. */
export function isBusy(thrown: unknown): boolean {
  const code = codeOf(thrown)
  return code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')
}

function messageAndRemedy(path: string, thrown: unknown): readonly [string, string] {
  const [code, text] = [codeOf(thrown), messageOf(thrown)]
  if (isBusy(thrown)) {
    return [
      `Another program keeps the database ${path} locked.`,
      'End the program that has it open. A running host then continues by itself.',
    ]
  }
  if (code.startsWith('SQLITE_FULL')) {
    return [`The disk that holds the database ${path} is full.`, 'Free space. No letter is lost meanwhile.']
  }
  if (
    code.startsWith('SQLITE_READONLY') ||
    code.startsWith('SQLITE_CANTOPEN') ||
    code.startsWith('SQLITE_PERM')
  ) {
    return [
      `The database ${path} cannot be written (${text}).`,
      'Check the permissions of the file and of its folder.',
    ]
  }
  return [`The database ${path} failed: ${text}.`, 'Check the disk, then start the host again.']
}
