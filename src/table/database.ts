// The host's one file: brought to this version's schema, or refused in one sentence. One host at a time uses it; the
// commands that look after invites and blocked keys may open it beside a running host.

import { chmodSync, closeSync, openSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { messageOf, Problem } from '../base/problem.ts'
import { HostLock } from './host-lock.ts'
import { applicationId, migrations, recountSql } from './schema.ts'

export type Connection = BetterSqlite3.Database
export type Statement = BetterSqlite3.Statement

/** Pages kept in memory. The rest of a big table is in the system's page cache, which is not ours to pay for;
 *  mmap would count it as ours. */
const cacheBytes = 4 * 1024 * 1024

/** Another host's lock, or a command's transaction: long enough for one that is just ending, short enough to tell a
 *  person. */
export const busyTimeoutMs = 3_000

/** Linux statfs types whose locks and syncs SQLite cannot trust: NFS, SMB, CIFS, SMB2, AFS, Ceph. */
const networkFileSystems = new Set([0x6969, 0x517b, 0xff534d42, 0xfe534d42, 0x5346414f, 0x00c36400])

export type Counts = {
  readonly entries: number
  readonly seenLetters: number
  readonly mails: number
  readonly introductions: number
}

export class HostDatabase {
  readonly path: string
  readonly connection: Connection
  readonly #counts: Statement
  readonly #atomically: BetterSqlite3.Transaction<(work: () => unknown) => unknown>
  readonly #countAsStale: Statement
  readonly #lock: HostLock | null
  #rollbacks = 0

  constructor(path: string, connection: Connection, lock: HostLock | null) {
    this.path = path
    this.connection = connection
    this.#lock = lock
    this.#countAsStale = connection.prepare('UPDATE tally SET forgotten_until = max(forgotten_until, ?)')
    // One for all: making it costs as much as beginning and ending a transaction.
    this.#atomically = connection.transaction((work: () => unknown) => work())
    this.#counts = connection.prepare(
      'SELECT entries, seen_letters AS seenLetters, mails, introductions FROM tally WHERE tally_id = 1',
    )
  }

  /** All of `work` or nothing; one sync to disk. One that is nested may fail and be caught in the outer one. */
  transaction<T>(work: () => T): T {
    try {
      return this.#atomically.immediate(work) as T
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
    this.#countAsStale.run(until)
  }

  /** May be called again. */
  close(): void {
    this.connection.close()
    this.#lock?.release()
  }
}

/** For the one host that uses it. Throws a Problem 'database' when the file cannot be used; then nothing stays open.
 *  `:memory:` is for tests. */
export function openHostDatabase(path: string): HostDatabase {
  if (path === ':memory:') return open(path, null)
  prepareFile(path)
  const lock = withSentence(path, () => HostLock.take(path, busyTimeoutMs))
  try {
    return open(path, lock)
  } catch (thrown) {
    lock.release()
    throw thrown
  }
}

/** For a command that reads or writes a few rows while a host may be running. */
export function openSharedDatabase(path: string): HostDatabase {
  prepareFile(path)
  return open(path, null)
}

function open(path: string, lock: HostLock | null): HostDatabase {
  return withSentence(path, () => {
    const connection = new BetterSqlite3(path, { timeout: busyTimeoutMs })
    try {
      connection.pragma(`cache_size = ${-cacheBytes / 1024}`)
      connection.pragma('mmap_size = 0')
      connection.pragma('temp_store = MEMORY')
      connection.pragma('journal_mode = WAL')
      connection.pragma('synchronous = FULL')
      connection.pragma('foreign_keys = ON')
      connection.pragma('trusted_schema = OFF')
      migrate(path, connection)
      if (lock) connection.exec(recountSql)
      return new HostDatabase(path, connection, lock)
    } catch (thrown) {
      connection.close()
      throw thrown
    }
  })
}

function withSentence<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    throw databaseProblem(path, thrown)
  }
}

/** Throws a Problem 'database' for a folder on a network file system. */
export function refuseNetworkDisk(path: string): void {
  if (!networkFileSystems.has(statfsSync(dirname(path)).type >>> 0)) return
  throw new Problem(
    'database',
    `The host's database ${path} is on a network file system, where it would be damaged sooner or later.`,
    'Move it to a local disk.',
  )
}

function prepareFile(path: string): void {
  try {
    refuseNetworkDisk(path)
    // SQLite would make the file with the process's umask; its other files copy the mode of this one.
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

/** Of the file's schema, 0 for one that is empty. Throws a Problem 'database' for one that is not ours to read. */
export function schemaVersionOf(path: string, connection: Connection): number {
  const version = connection.pragma('user_version', { simple: true }) as number
  const application = connection.pragma('application_id', { simple: true }) as number
  const tables = connection.prepare('SELECT COUNT(*) FROM sqlite_schema').pluck().get() as number
  if (application !== applicationId && (tables > 0 || version > 0)) {
    throw new Problem(
      'database',
      `The file ${path} is a database of another program.`,
      'Give the host a path of its own; it makes the file itself.',
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

function migrate(path: string, connection: Connection): void {
  const version = schemaVersionOf(path, connection)
  const step = connection.transaction((next: number) => {
    // Unless another process did it meanwhile.
    if (connection.pragma('user_version', { simple: true }) !== next) return
    connection.exec(migrations[next] ?? '')
    connection.pragma(`application_id = ${applicationId}`)
    connection.pragma(`user_version = ${next + 1}`)
  })
  for (let next = version; next < migrations.length; next++) step.immediate(next)
}

/** Whether the database is at fault, rather than what was to be done in it. */
export function isDatabaseFailure(thrown: unknown): boolean {
  return (
    thrown instanceof BetterSqlite3.SqliteError || (thrown instanceof Problem && thrown.code === 'database')
  )
}

/** The sentence for whatever SQLite threw. */
export function databaseProblem(path: string, thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown
  const code = thrown instanceof BetterSqlite3.SqliteError ? thrown.code : ''
  const [message, remedy] = sentenceFor(path, code, messageOf(thrown))
  return new Problem('database', message, remedy, { cause: thrown })
}

function sentenceFor(path: string, code: string, text: string): readonly [string, string] {
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return [
      `Another host is using the database ${path}.`,
      'Stop that one first, or give this one a file of its own.',
    ]
  }
  if (code.startsWith('SQLITE_NOTADB') || code.startsWith('SQLITE_CORRUPT')) {
    return [
      `The file ${path} is damaged or is not a database (${text}).`,
      'Move it away: the host makes a new one, and agents fill it again as they ask.',
    ]
  }
  if (code.startsWith('SQLITE_FULL')) {
    return [`The disk that holds the database ${path} is full.`, 'Make room; no letter is lost meanwhile.']
  }
  if (
    code.startsWith('SQLITE_READONLY') ||
    code.startsWith('SQLITE_CANTOPEN') ||
    code.startsWith('SQLITE_PERM')
  ) {
    return [
      `The database ${path} cannot be written (${text}).`,
      'Check the rights of the file and of its folder.',
    ]
  }
  return [`The database ${path} failed: ${text}.`, 'Check the disk, then start the host again.']
}
