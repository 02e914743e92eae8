// Addresses from which our mail bounced. Nothing is sent there for a time, which grows with each bounce.

import type { Connection, HostDatabase, Statement } from './host-database.ts'

export type UnreachableSettings = {
  /** The first pause. It doubles with each bounce up to `lastMs`. */
  readonly firstMs: number
  readonly lastMs: number
  /** How long an address stays stored after its pause. A bounce that comes later than this after its mail does not count, so
   *  that no bounce counts twice. */
  readonly rememberMs: number
  /** Stored addresses, at most. Beyond this the one whose pause ends first is deleted. */
  readonly capacity: number
}

export const defaultUnreachable: UnreachableSettings = {
  firstMs: 600_000,
  lastMs: 12 * 3_600_000,
  // Mail servers try for five days at most (RFC 5321 §4.5.4.1).
  rememberMs: 5 * 24 * 3_600_000,
  capacity: 10_000,
}

/** How long the addresses that other processes marked are cached. */
const cacheMs = 5_000

type Row = { readonly bounces: number; readonly until: number }

export class UnreachableAddresses {
  readonly #settings: UnreachableSettings
  readonly #database: HostDatabase
  readonly #statements: ReturnType<typeof prepare>
  /** Saves queries: each letter needs several, and most hosts never have such an address. */
  #mayHaveAny: boolean
  readonly #isShared: boolean
  #paused: ReadonlyMap<string, number> = new Map()
  #readAt = -Infinity

  constructor(database: HostDatabase, settings: UnreachableSettings) {
    this.#settings = settings
    this.#database = database
    this.#statements = prepare(database.connection)
    this.#isShared = database.connection.isShared
    this.#mayHaveAny = this.#isShared || this.size > 0
  }

  get size(): number {
    return this.#statements.size.get() as number
  }

  has(address: string, now: number): boolean {
    const until = this.#isShared
      ? this.#pausedByAll(now).get(address.toLowerCase())
      : this.#find(address)?.until
    return until !== undefined && until > now
  }

  /** Addresses that all processes marked, as of a few seconds ago. Cached, because each query is a round trip. */
  #pausedByAll(now: number): ReadonlyMap<string, number> {
    if (Math.abs(now - this.#readAt) >= cacheMs) {
      const rows = this.#statements.paused.all(now, this.#settings.capacity) as {
        address: string
        until: number
      }[]
      this.#paused = new Map(rows.map(({ address, until }) => [address, until]))
      this.#readAt = now
    }
    return this.#paused
  }

  /** A mail that was sent at `sentAt` (Unix ms) bounced. A mail sent before the end of the last pause does not count. True if
   *  the address is marked because of it. */
  note(address: string, sentAt: number, now: number): boolean {
    const { firstMs, lastMs, rememberMs, capacity } = this.#settings
    if (sentAt > now + 1_000 || now - sentAt > rememberMs) return false
    return this.#database.inTransaction(() => {
      this.#mayHaveAny = true
      const row = this.#find(address)
      if (row && sentAt < row.until) return false
      const bounces = (row?.bounces ?? 0) + 1
      const until = now + Math.min(lastMs, firstMs * 2 ** Math.min(bounces - 1, 20))
      this.#statements.put.run(address.toLowerCase(), bounces, until)
      this.#readAt = -Infinity
      const excess = this.size - capacity
      if (excess > 0) this.#statements.forgetSoonest.run(excess)
      return true
    })
  }

  /** Deletes at most `limit` addresses whose pause ended long ago. Returns how many. */
  forget(now: number, limit: number): number {
    return this.#statements.forget.run(now - this.#settings.rememberMs, limit).changes
  }

  /** Shortens pauses that are too long because our clock was set back. Returns how many. */
  clampFuture(now: number, limit: number): number {
    const latest = now + this.#settings.lastMs
    return this.#statements.clamp.run(latest, latest, limit).changes
  }

  #find(address: string): Row | undefined {
    if (!this.#mayHaveAny) return undefined
    return this.#statements.find.get(address.toLowerCase()) as Row | undefined
  }
}

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  return {
    // The table is small, and this runs only after an address was added.
    size: statement('SELECT COUNT(*) FROM unreachable').pluck(),
    find: statement('SELECT bounces, paused_until AS until FROM unreachable WHERE address = ?'),
    paused: statement(
      'SELECT address, paused_until AS until FROM unreachable WHERE paused_until > ? LIMIT ?',
    ),
    put: statement(
      `INSERT INTO unreachable (address, bounces, paused_until) VALUES (?, ?, ?)
       ON CONFLICT (address) DO UPDATE SET bounces = excluded.bounces, paused_until = excluded.paused_until`,
    ),
    forgetSoonest: statement(
      `DELETE FROM unreachable WHERE address IN
         (SELECT address FROM unreachable ORDER BY paused_until LIMIT ?)`,
    ),
    forget: statement(
      `DELETE FROM unreachable WHERE address IN
         (SELECT address FROM unreachable WHERE paused_until < ? ORDER BY paused_until LIMIT ?)`,
    ),
    clamp: statement(
      `UPDATE unreachable SET paused_until = ? WHERE address IN
         (SELECT address FROM unreachable WHERE paused_until > ? LIMIT ?)`,
    ),
  }
}
