// The number of each room in the database, remembered: every question about a room begins with it.

import { toHex } from '../base/bytes.ts'
import type { RoomTag } from '../letter/letter-types.ts'
import type { HostDatabase, Statement } from './host-database.ts'

/** Few hosts have more rooms; then the memory starts anew. */
const mostRemembered = 64

export class RoomIds {
  readonly #database: HostDatabase
  readonly #find: Statement
  readonly #add: Statement
  /** Rooms are never removed, so a number stays true unless the transaction that gave it is undone. */
  readonly #known = new Map<string, number>()
  #rollbacks = 0

  constructor(database: HostDatabase) {
    this.#database = database
    this.#find = database.connection.prepare('SELECT room_id FROM room WHERE tag = ?').pluck()
    this.#add = database.connection.prepare('INSERT INTO room (tag) VALUES (?) ON CONFLICT DO NOTHING')
  }

  /** Null, which matches no row, where nothing is known of the room. */
  of(room: RoomTag): number | null {
    const { rollbacks } = this.#database
    if (rollbacks !== this.#rollbacks || this.#known.size >= mostRemembered) this.#known.clear()
    this.#rollbacks = rollbacks
    const name = toHex(room)
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const number = this.#find.get(room) as number | undefined
    if (number === undefined) return null
    this.#known.set(name, number)
    return number
  }

  ofNew(room: RoomTag): number {
    const known = this.of(room)
    if (known !== null) return known
    this.#add.run(room)
    return this.of(room) as number
  }
}
