// Checks whether a host's file is damaged. A damaged file is neither used nor deleted: a person decides what to do.

import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'
import { messageOf, Problem } from '../base/problem.ts'

/** A full check of such a file takes less than half a second, and most files are smaller. */
const smallBytes = 32 * 1024 * 1024

/** To be called before the file is opened: opening it empties the WAL that a killed host left. */
export function howToCheck(path: string): 'thoroughly' | 'quickly' | 'not' {
  if (sizeOf(path) <= smallBytes || existsSync(notePathOf(path))) return 'thoroughly'
  // Files are damaged by power failures, and these leave a WAL.
  return sizeOf(`${path}-wal`) > 0 ? 'quickly' : 'not'
}

/** Throws a Problem 'database' for a damaged file. */
export function checkWholeness(
  path: string,
  connection: BetterSqlite3.Database,
  how: 'thoroughly' | 'quickly' | 'not',
): void {
  if (how === 'not') return
  refuseDamage(path, connection, how === 'thoroughly' ? 'integrity_check' : 'quick_check')
  rmSync(notePathOf(path), { force: true })
}

/** Throws a Problem 'database' with the first fault that SQLite finds. */
export function refuseDamage(
  path: string,
  connection: BetterSqlite3.Database,
  check: 'integrity_check' | 'quick_check',
): void {
  const result = String(connection.pragma(`${check}(1)`, { simple: true }))
  if (result !== 'ok') throw damageProblem(path, result)
}

/** The next host that opens the file checks all of it first, also if it is large. */
export function noteDamage(path: string): void {
  if (sizeOf(path) <= smallBytes) return
  try {
    writeFileSync(notePathOf(path), '', { mode: 0o600 })
  } catch {
    // The disk may be full. The next host finds the damage when it reads that page.
  }
}

function notePathOf(path: string): string {
  return `${path}.damaged`
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** `thrown`: by SQLite, or a Problem made of it. Whether the file is damaged. */
export function isDamage(thrown: unknown): boolean {
  if (thrown instanceof Problem) return isDamage(thrown.cause)
  return (
    thrown === foundDamage ||
    (thrown instanceof BetterSqlite3.SqliteError && /^SQLITE_(?:NOTADB|CORRUPT)/.test(thrown.code))
  )
}

/** The cause of a Problem when a check found the damage, as SQLite throws nothing then. */
const foundDamage = new Error('the file is damaged')

export function damageProblem(path: string, found: unknown): Problem {
  const text = messageOf(found).slice(0, 200).replace(/\.$/, '')
  return new Problem(
    'database',
    `The host's database ${path} is damaged or is not a database (${text}).`,
    `Stop the host, move ${path} away, and ${path}-wal and ${path}-shm where they are there. Put a backup (peerpost backup) in its place, or nothing: then the host makes a new one, and agents fill it again as they ask. No letter is lost meanwhile.`,
    { cause: found instanceof Error ? found : foundDamage },
  )
}
