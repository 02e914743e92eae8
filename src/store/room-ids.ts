// The row ID of each room, cached, because every query about a room needs it.

import { toHex } from '../base/bytes.ts'
import type { RoomTag } from '../letter/letter-types.ts'
import type { HostDatabase, Statement } from './host-database.ts'

/** When the cache has more rooms, it is emptied. Few hosts have so many. */
const mostCached = 64

export class RoomIds {
  readonly #database: HostDatabase
  readonly #find: Statement
  readonly #add: Statement
  /** Rooms are never deleted, so an ID is valid unless its transaction is rolled back. */
  readonly #known = new Map<string, number>()
  #rollbacks = 0

  constructor(database: HostDatabase) {
    this.#database = database
    this.#find = database.connection.prepare('SELECT room_id FROM room WHERE tag = ?').pluck()
    this.#add = database.connection.prepare('INSERT INTO room (tag) VALUES (?) ON CONFLICT DO NOTHING')
  }

  /** Null, which matches no row, if the room is not in the database. */
  of(room: RoomTag): number | null {
    const { rollbacks } = this.#database
    if (rollbacks !== this.#rollbacks || this.#known.size >= mostCached) this.#known.clear()
    this.#rollbacks = rollbacks
    const name = toHex(room)
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const number = this.#find.get(room) as number | undefined
    if (number === undefined) return null
    this.#known.set(name, number)
    return number
  }

  /** Adds the room if it is not in the database. */
  ofOrAdd(room: RoomTag): number {
    const known = this.of(room)
    if (known !== null) return known
    this.#add.run(room)
    return this.of(room) as number
  }
}
