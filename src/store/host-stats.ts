// Reads what a host's database knows about other hosts. Changes nothing, and the host may run meanwhile.

import { existsSync } from 'node:fs'
import BetterSqlite3 from 'better-sqlite3'
import { toHex } from '../base/bytes.ts'
import type { UserId } from '../letter/letter-types.ts'
import { schemaVersionOf } from './sqlite-database.ts'
import { migrations } from './sqlite-schema.ts'

export type HostStats = {
  /** When its latest letter was signed, Unix ms by its clock. Null if no letter of it is stored. */
  readonly heardAt: number | null
  /** Letters of agents that were forwarded to it and that it has not confirmed. */
  readonly forwards: number
  /** Agents that we know only from it, because they wrote to other keys than ours. */
  readonly strangers: number
}

/** By host ID in hexadecimal. Null if there is no database of this version yet. Throws if it cannot be read. */
export function readHostStats(path: string, hosts: readonly UserId[]): ReadonlyMap<string, HostStats> | null {
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
