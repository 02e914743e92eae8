// Addresses from which our mail bounced. Nothing is sent there for a while, and for longer with each further bounce.

import type { Connection, HostDatabase, Statement } from './host-database.ts'

export type UnreachableSettings = {
  /** The first pause; doubles with each further bounce up to `lastMs`. */
  readonly firstMs: number
  readonly lastMs: number
  /** How long after a pause it is remembered. A bounce that comes later than this after its mail counts no more, so
   *  that no bounce counts twice. */
  readonly rememberMs: number
  /** Addresses, at most; beyond it the one whose pause ends first is forgotten. */
  readonly capacity: number
}

export const defaultUnreachable: UnreachableSettings = {
  firstMs: 600_000,
  lastMs: 12 * 3_600_000,
  // Mail servers try for five days at most (RFC 5321 §4.5.4.1).
  rememberMs: 5 * 24 * 3_600_000,
  capacity: 10_000,
}

const rereadMs = 5_000

type Row = { readonly bounces: number; readonly until: number }

export class UnreachableAddresses {
  readonly #settings: UnreachableSettings
  readonly #database: HostDatabase
  readonly #statements: ReturnType<typeof prepare>
  /** Most hosts never have one, and each letter asks about several addresses. */
  #mayHoldAny: boolean
  readonly #isShared: boolean
  #paused: ReadonlyMap<string, number> = new Map()
  #readAt = -Infinity

  constructor(database: HostDatabase, settings: UnreachableSettings) {
    this.#settings = settings
    this.#database = database
    this.#statements = prepare(database.connection)
    this.#isShared = database.connection.isShared
    this.#mayHoldAny = this.#isShared || this.size > 0
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

  /** Where other processes mark, too, and each question is a round trip: what was marked a few seconds ago at the latest. */
  #pausedByAll(now: number): ReadonlyMap<string, number> {
    if (Math.abs(now - this.#readAt) >= rereadMs) {
      const rows = this.#statements.paused.all(now, this.#settings.capacity) as {
        address: string
        until: number
      }[]
      this.#paused = new Map(rows.map(({ address, until }) => [address, until]))
      this.#readAt = now
    }
    return this.#paused
  }

  /** A mail that was sent at `sentAt` (Unix ms) came back. One sent before the last pause was over tells nothing new.
   *  Whether the address is marked because of it. */
  note(address: string, sentAt: number, now: number): boolean {
    const { firstMs, lastMs, rememberMs, capacity } = this.#settings
    if (sentAt > now + 1_000 || now - sentAt > rememberMs) return false
    return this.#database.inTransaction(() => {
      this.#mayHoldAny = true
      const row = this.#find(address)
      if (row && sentAt < row.until) return false
      const bounces = (row?.bounces ?? 0) + 1
      const until = now + Math.min(lastMs, firstMs * 2 ** Math.min(bounces - 1, 20))
      this.#statements.put.run(address.toLowerCase(), bounces, until)
      this.#readAt = -Infinity
      const excess = this.size - capacity
      if (excess > 0) this.#statements.forgetFirst.run(excess)
      return true
    })
  }

  /** One small step of housekeeping; says how many were forgotten. */
  forget(now: number, limit: number): number {
    return this.#statements.forget.run(now - this.#settings.rememberMs, limit).changes
  }

  /** After our clock was set back no pause is longer than the longest. */
  clampFuture(now: number, limit: number): number {
    const latest = now + this.#settings.lastMs
    return this.#statements.clamp.run(latest, latest, limit).changes
  }

  #find(address: string): Row | undefined {
    if (!this.#mayHoldAny) return undefined
    return this.#statements.find.get(address.toLowerCase()) as Row | undefined
  }
}

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  return {
    // Bounded by the capacity, and counted only when one was added.
    size: statement('SELECT COUNT(*) FROM unreachable').pluck(),
    find: statement('SELECT bounces, paused_until AS until FROM unreachable WHERE address = ?'),
    paused: statement(
      'SELECT address, paused_until AS until FROM unreachable WHERE paused_until > ? LIMIT ?',
    ),
    put: statement(
      `INSERT INTO unreachable (address, bounces, paused_until) VALUES (?, ?, ?)
       ON CONFLICT (address) DO UPDATE SET bounces = excluded.bounces, paused_until = excluded.paused_until`,
    ),
    forgetFirst: statement(
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
