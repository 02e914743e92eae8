// Whether a host's file is still whole. A damaged one is never gone on with, and never removed: a person decides.

import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'
import { messageOf, Problem } from '../base/problem.ts'

/** Looking all through so much takes less than half a second, and most tables are smaller. */
const smallBytes = 32 * 1024 * 1024

/** Before the connection is opened, which tidies up what a killed host left. */
export function howToCheck(path: string): 'thoroughly' | 'quickly' | 'not' {
  if (sizeOf(path) <= smallBytes || existsSync(notePathOf(path))) return 'thoroughly'
  // Power that fails is what damages files, and leaves a log that was not put back into the file.
  return sizeOf(`${path}-wal`) > 0 ? 'quickly' : 'not'
}

/** Throws a Problem 'database' for a file that is not whole. */
export function checkWholeness(
  path: string,
  connection: BetterSqlite3.Database,
  how: 'thoroughly' | 'quickly' | 'not',
): void {
  if (how === 'not') return
  const check = how === 'thoroughly' ? 'integrity_check(1)' : 'quick_check(1)'
  const told = String(connection.pragma(check, { simple: true }))
  if (told !== 'ok') throw damageProblem(path, told)
  rmSync(notePathOf(path), { force: true })
}

/** Damage was met: the next host that opens the file looks at all of it first, however large it is. */
export function noteDamage(path: string): void {
  if (sizeOf(path) <= smallBytes) return
  try {
    writeFileSync(notePathOf(path), '', { mode: 0o600 })
  } catch {
    // Then it is met again.
  }
}

function notePathOf(path: string): string {
  return `${path}.damaged`
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** Of what SQLite threw, or a Problem made of it: whether nothing but another file will mend it. */
export function isDamage(thrown: unknown): boolean {
  if (thrown instanceof Problem) return isDamage(thrown.cause)
  return (
    thrown === foundDamage ||
    (thrown instanceof BetterSqlite3.SqliteError && /^SQLITE_(?:NOTADB|CORRUPT)/.test(thrown.code))
  )
}

/** The cause of a Problem about what a check found, where SQLite itself threw nothing. */
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
