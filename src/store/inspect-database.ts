// Checks a host's database without changing it: damage, version and size.

import { existsSync, statSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'
import { isBusy, refuseNetworkDisk, schemaVersionOf, sqliteProblem } from './sqlite-database.ts'
import { refuseDamage } from './sqlite-integrity.ts'
import { migrations } from './sqlite-schema.ts'

export type Inspection =
  /** There is no file yet. The host creates it. */
  | { readonly state: 'absent' }
  /** Locked, most likely by the host. */
  | { readonly state: 'in-use' }
  | {
      readonly state: 'sound'
      readonly version: number
      /** The version of this program. The host migrates an older file to it. */
      readonly ownVersion: number
      readonly sizeBytes: number
    }

/** Reads the whole file. Throws a Problem 'database' if it is damaged or a host could not use it. */
export function inspectHostDatabase(path: string): Inspection {
  let connection: BetterSqlite3.Database | undefined
  try {
    refuseNetworkDisk(path)
    if (!existsSync(path)) return { state: 'absent' }
    connection = new BetterSqlite3(path, { readonly: true, fileMustExist: true, timeout: 200 })
    const version = schemaVersionOf(path, connection)
    refuseDamage(path, connection, 'integrity_check')
    return { state: 'sound', version, ownVersion: migrations.length, sizeBytes: statSync(path).size }
  } catch (thrown) {
    if (isBusy(thrown)) return { state: 'in-use' }
    throw sqliteProblem(path, thrown)
  } finally {
    connection?.close()
  }
}
