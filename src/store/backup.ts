// A copy of a host's database as of one instant, also while the host runs (SQLite's online backup).

import { existsSync, renameSync, rmSync, statSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'
import { messageOf, Problem } from '../base/problem.ts'
import { schemaVersionOf, sqliteProblem } from './sqlite-database.ts'
import { damageProblem } from './sqlite-integrity.ts'

/** More than any database has: one step under one lock for readers. Page by page, each letter would start it anew. */
const allPages = 2 ** 31 - 1

/** Writes `target`, which must not be there yet, whole or not at all; resolves with its size. Rejects with a Problem. */
export async function backUpDatabase(path: string, target: string): Promise<number> {
  if (!existsSync(path)) {
    throw new Problem('database', `There is no database ${path}.`, 'Start the host once; it makes it.')
  }
  if (existsSync(target)) {
    throw new Problem(
      'file',
      `${target} exists already.`,
      'Name a file that is not there, for example with the date.',
    )
  }
  const fresh = `${target}.${process.pid}.new`
  const mask = process.umask(0o077)
  try {
    const source = open(path)
    try {
      await source.backup(fresh, { progress: () => allPages })
    } finally {
      source.close()
    }
    refuseDamage(path, fresh)
    renameSync(fresh, target)
    return statSync(target).size
  } catch (thrown) {
    if (thrown instanceof Problem) throw thrown
    // What is full or cannot be opened is the copy: the database was read already.
    const isOfCopy = thrown instanceof BetterSqlite3.SqliteError && /_(FULL|CANTOPEN|PERM)/.test(thrown.code)
    if (thrown instanceof BetterSqlite3.SqliteError && !isOfCopy) throw sqliteProblem(path, thrown)
    throw new Problem(
      'file',
      `The backup ${target} cannot be written: ${messageOf(thrown)}.`,
      'Check that its folder exists, that this user may write there and that there is room.',
      { cause: thrown },
    )
  } finally {
    process.umask(mask)
    rmSync(fresh, { force: true })
  }
}

/** A copy of a damaged file must not take the place of an older, sound one. */
function refuseDamage(path: string, copy: string): void {
  const connection = new BetterSqlite3(copy, { readonly: true })
  try {
    const told = String(connection.pragma('quick_check(1)', { simple: true }))
    if (told !== 'ok') throw damageProblem(path, told)
  } finally {
    connection.close()
  }
}

function open(path: string): BetterSqlite3.Database {
  const connection = new BetterSqlite3(path, { readonly: true, fileMustExist: true })
  try {
    schemaVersionOf(path, connection)
    return connection
  } catch (thrown) {
    connection.close()
    throw thrown
  }
}
