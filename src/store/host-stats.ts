// What a host's database says about other hosts, read while the host runs and without changing anything.

import { existsSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'
import { toHex } from '../base/bytes.ts'
import type { UserId } from '../letter/letter-types.ts'
import { schemaVersionOf } from './sqlite-database.ts'
import { migrations } from './sqlite-schema.ts'

export type Sighting = {
  /** When its latest letter was signed, Unix ms by its clock; null when none came as long as letters are remembered. */
  readonly heardAt: number | null
  /** Letters of agents that it was given and has not said to have taken. */
  readonly forwards: number
  /** Agents that it told of, and that do not know us: they wrote to other keys than ours. */
  readonly strangers: number
}

/** By the hosts' IDs in hex; null when there is no database of this version yet. Throws when it cannot be read. */
export function readSightings(path: string, hosts: readonly UserId[]): ReadonlyMap<string, Sighting> | null {
  if (!existsSync(path)) return null
  const connection = new BetterSqlite3(path, { readonly: true, fileMustExist: true, timeout: 1_000 })
  try {
    if (schemaVersionOf(path, connection) !== migrations.length) return null
    const number = (sql: string) => {
      const statement = connection.prepare(sql).pluck()
      return (host: UserId) => statement.get(host) as number | null
    }
    const heardAt = number('SELECT MAX(sent_at) FROM seen_letter WHERE sender = ?')
    const forwards = number('SELECT COUNT(*) FROM forward WHERE worker = ?')
    const strangers = number('SELECT COUNT(*) FROM statement WHERE told_by = ?')
    return new Map(
      hosts.map((host) => [
        toHex(host),
        { heardAt: heardAt(host), forwards: forwards(host) ?? 0, strangers: strangers(host) ?? 0 },
      ]),
    )
  } finally {
    connection.close()
  }
}
