// Looks at a host's database without changing it: whether it is whole, whose it is and how much is in it.

import { existsSync, statSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'
import { refuseNetworkDisk, schemaVersionOf, sqliteProblem } from './sqlite-database.ts'
import { damageProblem } from './sqlite-integrity.ts'
import { migrations } from './sqlite-schema.ts'

export type Inspection =
  /** The host will make it. */
  | { readonly state: 'absent' }
  /** Somebody has it open, most likely the host. */
  | { readonly state: 'in-use' }
  | {
      readonly state: 'sound'
      readonly version: number
      /** Of this program; the host brings an older file to it. */
      readonly ownVersion: number
      readonly sizeBytes: number
    }

/** Throws a Problem 'database' for a file that a host would refuse, or that is damaged. Reads all of it. */
export function inspectHostDatabase(path: string): Inspection {
  let connection: BetterSqlite3.Database | undefined
  try {
    refuseNetworkDisk(path)
    if (!existsSync(path)) return { state: 'absent' }
    connection = new BetterSqlite3(path, { readonly: true, fileMustExist: true, timeout: 200 })
    const version = schemaVersionOf(path, connection)
    const told = connection.pragma('integrity_check(1)', { simple: true }) as string
    if (told !== 'ok') throw damageProblem(path, told)
    return { state: 'sound', version, ownVersion: migrations.length, sizeBytes: statSync(path).size }
  } catch (thrown) {
    const code = thrown instanceof BetterSqlite3.SqliteError ? thrown.code : ''
    if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) return { state: 'in-use' }
    throw sqliteProblem(path, thrown)
  } finally {
    connection?.close()
  }
}
