// User IDs that a command blocked in all rooms. The config may block more.

import type { UserId } from '../letter/letter-types.ts'
import type { Connection, HostDatabase, Statement } from './host-database.ts'

export const mostBlocked = 10_000

export type BlockedKey = {
  readonly user: UserId
  /** The nickname it had when it was blocked; may be empty. */
  readonly name: string
  /** Unix ms. */
  readonly blockedAt: number
}

export class BlockedKeys {
  readonly #database: HostDatabase
  readonly #statements: ReturnType<typeof prepare>

  constructor(database: HostDatabase) {
    this.#database = database
    this.#statements = prepare(database.connection)
  }

  has(user: UserId): boolean {
    return this.#statements.has.get(user) !== undefined
  }

  /** Takes it out of all rooms, too. False when there are as many as there may be. */
  add(user: UserId, name: string, now: number): boolean {
    return this.#database.transaction(() => {
      if ((this.#statements.size.get() as number) >= mostBlocked && !this.has(user)) return false
      this.#statements.add.run(user, name, now)
      this.#statements.removeEntries.run(user)
      return true
    })
  }

  /** False when it was not blocked. */
  remove(user: UserId): boolean {
    return this.#statements.remove.run(user).changes > 0
  }

  list(): readonly BlockedKey[] {
    return (this.#statements.list.all() as (Omit<BlockedKey, 'user'> & { user: Uint8Array })[]).map(
      ({ user, ...rest }) => ({ ...rest, user: new Uint8Array(user) }),
    )
  }

  /** Who is in the table under this nickname. Reads all of it. */
  usersNamed(nickname: string): readonly UserId[] {
    const users = this.#statements.named.all(nickname) as Uint8Array[]
    return users.map((user) => new Uint8Array(user))
  }

  /** The nickname in the table, or nothing. */
  nameOf(user: UserId): string {
    return (this.#statements.name.get(user) as string | undefined) ?? ''
  }
}

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  // By the index of each room: there is none over all rooms, which would cost every letter.
  const entriesOf = 'FROM entry WHERE room_id IN (SELECT room_id FROM room) AND user_id = ?'
  return {
    size: statement('SELECT COUNT(*) FROM blocked').pluck(),
    has: statement('SELECT 1 FROM blocked WHERE user_id = ?').pluck(),
    add: statement('INSERT INTO blocked (user_id, name, blocked_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING'),
    remove: statement('DELETE FROM blocked WHERE user_id = ?'),
    removeEntries: statement(`DELETE ${entriesOf}`),
    list: statement(
      'SELECT user_id AS "user", name, blocked_at AS "blockedAt" FROM blocked ORDER BY blocked_at, user_id',
    ),
    named: statement('SELECT DISTINCT user_id FROM entry WHERE nickname = ? LIMIT 100').pluck(),
    name: statement(`SELECT nickname ${entriesOf} ORDER BY accepted_at DESC LIMIT 1`).pluck(),
  }
}
