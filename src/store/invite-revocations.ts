// Revocations of invites, each signed by the host that made the invite (A13).

import type { Revocation, UserId } from '../letter/letter-types.ts'
import type { Connection, HostDatabase, Statement } from './host-database.ts'
import { keepOverMs } from './invites.ts'

/** The most revocations of one host, so that no host can fill our disk. */
const mostOfHost = 10_000

type Row = {
  host: Uint8Array
  key: Uint8Array
  revoked_at: number
  until_at: number | null
  signature: Uint8Array
}

export class InviteRevocations {
  readonly #database: HostDatabase
  readonly #statements: ReturnType<typeof prepare>

  constructor(database: HostDatabase) {
    this.#database = database
    this.#statements = prepare(database.connection)
  }

  /** Ends the invite here too, and takes whoever came by it out of the table. False when it was known, or there are as
   *  many as there may be. The signature is the caller's to check. */
  take({ host, key, at, until, signature }: Revocation): boolean {
    return this.#database.inTransaction(() => {
      if ((this.#statements.ofHost.get(host) as number) >= mostOfHost) return false
      if (this.#statements.add.run(host, key, at, until ?? null, signature).changes === 0) return false
      this.#statements.end.run(at, key, host)
      this.#statements.removeEntries.run(key, host)
      return true
    })
  }

  /** Those that no other host was told of since `before` (Unix ms), longest ago first. */
  due(before: number, limit: number): readonly Revocation[] {
    return (this.#statements.due.all(before, limit) as Row[]).map(revocationOf)
  }

  /** The latest. */
  latest(limit: number): readonly Revocation[] {
    return (this.#statements.latest.all(limit) as Row[]).map(revocationOf)
  }

  noteTold(told: readonly Revocation[], now: number): void {
    for (const { host, key } of told) this.#statements.noteTold.run(now, host, key)
  }

  /** One small step of housekeeping: forgets at most `limit` whose invites have long ended by themselves. */
  forgetOver(now: number, limit: number): number {
    return this.#statements.forget.run(now - keepOverMs, limit).changes
  }
}

function revocationOf({ host, key, revoked_at, until_at, signature }: Row): Revocation {
  return {
    host: new Uint8Array(host) satisfies UserId,
    key: new Uint8Array(key),
    at: revoked_at,
    ...(until_at !== null && { until: until_at }),
    signature: new Uint8Array(signature),
  }
}

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  const columns = 'host, key, revoked_at, until_at, signature'
  // Of invites noted before their hosts were, the key alone must do.
  const invite = 'key = ? AND (host = ? OR host IS NULL)'
  return {
    ofHost: statement('SELECT COUNT(*) FROM revocation WHERE host = ?').pluck(),
    add: statement(
      `INSERT INTO revocation (${columns}, told_at) VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING`,
    ),
    end: statement(`UPDATE invite SET revoked_at = ? WHERE ${invite} AND revoked_at IS NULL`),
    removeEntries: statement(
      `DELETE FROM entry WHERE invite_id = (SELECT invite_id FROM invite WHERE ${invite})`,
    ),
    due: statement(`SELECT ${columns} FROM revocation WHERE told_at < ? ORDER BY told_at LIMIT ?`),
    latest: statement(`SELECT ${columns} FROM revocation ORDER BY revoked_at DESC LIMIT ?`),
    noteTold: statement('UPDATE revocation SET told_at = ? WHERE host = ? AND key = ?'),
    forget: statement(
      'DELETE FROM revocation WHERE (host, key) IN (SELECT host, key FROM revocation WHERE until_at <= ? LIMIT ?)',
    ),
  }
}
