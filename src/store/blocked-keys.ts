// User IDs that are blocked in all rooms by a command. The settings may block more.

import type { UserId } from '../letter/letter-types.ts'
import type { Connection, HostDatabase, Statement } from './host-database.ts'

export const mostBlocked = 10_000

export type BlockedKey = {
  readonly user: UserId
  /** The nickname at the time of the block; may be empty. */
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

  /** Also removes the user from all rooms. False if `mostBlocked` users are blocked already. */
  add(user: UserId, name: string, now: number): boolean {
    return this.#database.transaction(() => {
      if ((this.#statements.size.get() as number) >= mostBlocked && !this.has(user)) return false
      this.#statements.add.run(user, name, now)
      this.#statements.removeEntries.run(user)
      return true
    })
  }

  /** False if the user was not blocked. */
  remove(user: UserId): boolean {
    return this.#statements.remove.run(user).changes > 0
  }

  list(): readonly BlockedKey[] {
    return (this.#statements.list.all() as (Omit<BlockedKey, 'user'> & { user: Uint8Array })[]).map(
      ({ user, ...rest }) => ({ ...rest, user: new Uint8Array(user) }),
    )
  }

  /** The users with this nickname in the peer table. Reads the whole table. */
  usersNamed(nickname: string): readonly UserId[] {
    const users = this.#statements.named.all(nickname) as Uint8Array[]
    return users.map((user) => new Uint8Array(user))
  }

  /** The nickname in the peer table, or an empty text. */
  nameOf(user: UserId): string {
    return (this.#statements.name.get(user) as string | undefined) ?? ''
  }
}

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  // Uses the index of each room. An index over all rooms would slow down every letter.
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
