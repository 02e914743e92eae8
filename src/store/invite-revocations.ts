// Revocations of invites, each signed by the host that made the invite (A13).

import type { Revocation, UserId } from '../letter/letter-types.ts'
import type { Connection, HostDatabase, Statement } from './host-database.ts'
import { keepEndedMs } from './invites.ts'

/** Stored revocations of one host, at most, so that no host can fill our disk. */
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

  /** Also revokes the invite here and removes the entries of agents that used it. False if the revocation is stored already,
   *  or there are too many. The caller must have checked the signature. */
  add({ host, key, at, until, signature }: Revocation): boolean {
    return this.#database.inTransaction(() => {
      if ((this.#statements.ofHost.get(host) as number) >= mostOfHost) return false
      if (this.#statements.add.run(host, key, at, until ?? null, signature).changes === 0) return false
      this.#statements.revokeInvite.run(at, key, host)
      this.#statements.removeEntries.run(key, host)
      return true
    })
  }

  /** Revocations that were not sent to other hosts since `before` (Unix ms), longest ago first. */
  due(before: number, limit: number): readonly Revocation[] {
    return (this.#statements.due.all(before, limit) as Row[]).map(revocationOf)
  }

  /** The latest revocations. */
  latest(limit: number): readonly Revocation[] {
    return (this.#statements.latest.all(limit) as Row[]).map(revocationOf)
  }

  markSent(sent: readonly Revocation[], now: number): void {
    for (const { host, key } of sent) this.#statements.markSent.run(now, host, key)
  }

  /** Deletes at most `limit` revocations whose invites ended by themselves long ago. Returns how many. */
  forgetEnded(now: number, limit: number): number {
    return this.#statements.forget.run(now - keepEndedMs, limit).changes
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
  // Old rows do not have the host that made the invite. There the key must be enough.
  const invite = 'key = ? AND (host = ? OR host IS NULL)'
  return {
    ofHost: statement('SELECT COUNT(*) FROM revocation WHERE host = ?').pluck(),
    add: statement(
      `INSERT INTO revocation (${columns}, told_at) VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING`,
    ),
    revokeInvite: statement(`UPDATE invite SET revoked_at = ? WHERE ${invite} AND revoked_at IS NULL`),
    removeEntries: statement(
      `DELETE FROM entry WHERE invite_id = (SELECT invite_id FROM invite WHERE ${invite})`,
    ),
    due: statement(`SELECT ${columns} FROM revocation WHERE told_at < ? ORDER BY told_at LIMIT ?`),
    latest: statement(`SELECT ${columns} FROM revocation ORDER BY revoked_at DESC LIMIT ?`),
    markSent: statement('UPDATE revocation SET told_at = ? WHERE host = ? AND key = ?'),
    forget: statement(
      'DELETE FROM revocation WHERE (host, key) IN (SELECT host, key FROM revocation WHERE until_at <= ? LIMIT ?)',
    ),
  }
}
