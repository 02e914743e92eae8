// Connects to the host's tables in PostgreSQL and migrates them to this version. Throws a Problem if they cannot be used.

import { messageOf, Problem } from '../base/problem.ts'
import { PostgresConnection, PostgresFailure } from './postgres-connection.ts'
import { postgresMigrations, versionSql } from './postgres-schema.ts'

export type PostgresLocation = {
  /** `postgres://USER@HOST/DATABASE`. */
  readonly url: string
  /** Needed only if it is not in the URL, in PGPASSWORD or in ~/.pgpass. */
  readonly password?: string
}

export function isPostgresUrl(text: string): boolean {
  return /^postgres(ql)?:\/\//.test(text)
}

/** Server and database for messages and logs, without user and password. */
export function locationName(url: string): string {
  return url
    .replace(/^(\w+:\/\/)[^/]*@/, '$1')
    .replace(/\?.*$/, '')
    .slice(0, 200)
}

/** Throws a Problem 'database' if the tables cannot be used; then nothing stays open. */
export function openPostgres({ url, password }: PostgresLocation): PostgresConnection {
  const connection = new PostgresConnection(url, password ?? null)
  try {
    migrate(locationName(url), connection)
    return connection
  } catch (thrown) {
    connection.close()
    throw postgresProblem(locationName(url), thrown)
  }
}

const knownSql = `SELECT 1 FROM pg_tables WHERE schemaname = 'peerpost' AND tablename = 'version'`

export type PostgresInspection = {
  /** Null if there are no tables yet. A host creates them. */
  readonly version: number | null
  readonly ownVersion: number
  readonly sizeBytes: number
}

/** Changes nothing. Throws a Problem 'database' if a host could not use the database. */
export function inspectPostgres({ url, password }: PostgresLocation): PostgresInspection {
  const connection = new PostgresConnection(url, password ?? null)
  try {
    const isKnown = connection.prepare(knownSql).get() !== undefined
    const version = isKnown ? versionOf(connection) : null
    if (version !== null) refuseNewer(locationName(url), version)
    const size = connection.prepare(
      `SELECT COALESCE(SUM(pg_total_relation_size(c.oid)), 0) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
       WHERE nspname = 'peerpost' AND relkind = 'r'`,
    )
    const sizeBytes = size.pluck().get() as number
    return { version, ownVersion: postgresMigrations.length, sizeBytes }
  } catch (thrown) {
    throw postgresProblem(locationName(url), thrown)
  } finally {
    connection.close()
  }
}

function refuseNewer(name: string, version: number): void {
  if (version <= postgresMigrations.length) return
  throw new Problem(
    'database',
    `The tables in ${name} were written by a newer peerpost (their version is ${version}, ours ${postgresMigrations.length}).`,
    'Install that version on all hosts of this database, or give this one another database.',
  )
}

const versionOf = (connection: PostgresConnection) =>
  connection.prepare('SELECT version FROM peerpost.version WHERE version_id = 1').pluck().get() as number

/** In one transaction, so that only one of several processes that start together migrates. */
function migrate(name: string, connection: PostgresConnection): void {
  const known = connection.prepare(knownSql)
  connection.transaction(() => {
    if (known.get() === undefined) connection.exec(versionSql)
    const version = versionOf(connection)
    refuseNewer(name, version)
    for (const migration of postgresMigrations.slice(version)) connection.exec(migration)
    if (version < postgresMigrations.length)
      connection.exec(`UPDATE peerpost.version SET version = ${postgresMigrations.length}`)
  })
}

/** Whether the database failed. The SQLSTATE classes "data exception" and "integrity constraint violation" are faults of what
 *  was written. */
export function isPostgresFailure(thrown: unknown): boolean {
  return thrown instanceof PostgresFailure && !/^2[23]/.test(thrown.code)
}

/** The Problem for an error of PostgreSQL or the connection. */
export function postgresProblem(name: string, thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown
  const code = thrown instanceof PostgresFailure ? thrown.code : ''
  const [message, remedy] = messageAndRemedy(name, code, messageOf(thrown))
  return new Problem('database', message, remedy, { cause: thrown })
}

function messageAndRemedy(name: string, code: string, text: string): readonly [string, string] {
  if (code.startsWith('28')) {
    return [
      `PostgreSQL does not let this host log in to ${name}: ${text}.`,
      'Check user and password: in the file of password_file, in PGPASSWORD or in ~/.pgpass.',
    ]
  }
  if (code === '3D000') return [`There is no database ${name}: ${text}.`, 'Create it with `createdb`.']
  if (code === '42501') {
    return [
      `PostgreSQL does not let this host create or use its tables in ${name}: ${text}.`,
      'Let the user create a schema there (GRANT CREATE ON DATABASE), or make it the owner.',
    ]
  }
  if (code === '53100') {
    return [`The disk of ${name} is full.`, 'Free space there. No letter is lost meanwhile.']
  }
  if (code === '55P03' || code === '57014' || code === '40P01') {
    return [`${name} is too busy: ${text}.`, 'The host tries again by itself. Find out what holds the locks.']
  }
  if (/^(08|57P|53)/.test(code) || /^E[A-Z]+$/.test(code)) {
    return [
      `PostgreSQL at ${name} cannot be reached: ${text}.`,
      'The host tries again by itself, and letters wait in the mailbox. Check that the server runs.',
    ]
  }
  return [`The database ${name} failed: ${text}.`, 'Read the log of PostgreSQL, then start the host again.']
}
