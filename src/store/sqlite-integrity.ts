// Checks whether a host's SQLite file is damaged. A damaged file is neither used nor deleted: a person decides what to do.

import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'
import { messageOf, Problem } from '../base/problem.ts'

/** A full check of a file of this size takes less than half a second. Most files are smaller. */
const smallBytes = 32 * 1024 * 1024

/** Call this before the file is opened, because opening empties the WAL that a killed host left. */
export function checkModeFor(path: string): 'full' | 'quick' | 'none' {
  if (sizeOf(path) <= smallBytes || existsSync(notePathOf(path))) return 'full'
  // A power failure can damage the file, and it leaves a WAL.
  return sizeOf(`${path}-wal`) > 0 ? 'quick' : 'none'
}

/** Throws a Problem 'database' for a damaged file. */
export function checkIntegrity(
  path: string,
  connection: BetterSqlite3.Database,
  how: 'full' | 'quick' | 'none',
): void {
  if (how === 'none') return
  refuseDamage(path, connection, how === 'full' ? 'integrity_check' : 'quick_check')
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

/** Stores a note beside a large file: the next host that opens it then checks the whole file. */
export function noteDamage(path: string): void {
  if (sizeOf(path) <= smallBytes) return
  try {
    writeFileSync(notePathOf(path), '', { mode: 0o600 })
  } catch {
    // The disk may be full. Then the next host finds the damage when it reads that page.
  }
}

function notePathOf(path: string): string {
  return `${path}.damaged`
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** Whether an error of SQLite, or a Problem made from it, means that the file is damaged. */
export function isDamage(thrown: unknown): boolean {
  if (thrown instanceof Problem) return isDamage(thrown.cause)
  return (
    thrown === foundDamage ||
    (thrown instanceof BetterSqlite3.SqliteError && /^SQLITE_(?:NOTADB|CORRUPT)/.test(thrown.code))
  )
}

/** The cause of a Problem if a check found the damage, because then SQLite throws nothing. */
const foundDamage = new Error('the file is damaged')

export function damageProblem(path: string, found: unknown): Problem {
  const text = messageOf(found).slice(0, 200).replace(/\.$/, '')
  return new Problem(
    'database',
    `The host's database ${path} is damaged or is not a database (${text}).`,
    `Stop the host and move ${path} away, with ${path}-wal and ${path}-shm if they exist. Put a backup (peerpost backup) there, or nothing: then the host creates a new file, and agents fill it again by their requests. No letter is lost meanwhile.`,
    { cause: found instanceof Error ? found : foundDamage },
  )
}
