// Copies a host's database with SQLite's online backup, also while the host runs. The copy is one consistent snapshot.

import { existsSync, renameSync, rmSync, statSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'
import { messageOf, Problem } from '../base/problem.ts'
import { schemaVersionOf, sqliteProblem } from './sqlite-database.ts'
import { refuseDamage } from './sqlite-integrity.ts'

/** More pages than any database has, so the copy is one step. In smaller steps each write of the host would restart it. */
const allPages = 2 ** 31 - 1

/** Writes `target` completely or not at all. Resolves with its size in bytes. Rejects with a Problem, also if `target`
 *  exists. */
export async function backUpDatabase(path: string, target: string): Promise<number> {
  if (!existsSync(path)) {
    throw new Problem(
      'database',
      `There is no database ${path}.`,
      'Start the host once: it creates the database.',
    )
  }
  if (existsSync(target)) {
    throw new Problem(
      'file',
      `${target} exists already.`,
      'Choose a new file name, for example with the date.',
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
    checkCopy(path, fresh)
    renameSync(fresh, target)
    return statSync(target).size
  } catch (thrown) {
    if (thrown instanceof Problem) throw thrown
    // The database is open already, so these codes mean the copy.
    const isAboutCopy =
      thrown instanceof BetterSqlite3.SqliteError && /_(FULL|CANTOPEN|PERM)/.test(thrown.code)
    if (thrown instanceof BetterSqlite3.SqliteError && !isAboutCopy) throw sqliteProblem(path, thrown)
    throw new Problem(
      'file',
      `The backup ${target} cannot be written: ${messageOf(thrown)}.`,
      'Check that its folder exists, that this user may write there and that the disk has free space.',
      { cause: thrown },
    )
  } finally {
    process.umask(mask)
    rmSync(fresh, { force: true })
  }
}

/** Throws if the copy is damaged: it might replace an older backup that is good. */
function checkCopy(path: string, copy: string): void {
  const connection = new BetterSqlite3(copy, { readonly: true })
  try {
    refuseDamage(path, connection, 'quick_check')
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
