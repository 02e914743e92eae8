// Invites, the agents that used them, and whether they are still valid. Commands write here while a host runs. The host reads
// at each request, so changes have effect at once.

import type { Grant, RoomTag, UserId } from '../letter/letter-types.ts'
import { limits } from '../letter/limits.ts'
import type { Connection, HostDatabase, Statement } from './host-database.ts'

/** Stored invites, at most. Ended ones are deleted after a time. */
export const mostInvites = 10_000

/** Stored agents of an invite without a limit, at most. Further agents are let in but not stored. */
const mostUsers = limits.inviteUses

const dayMs = 24 * 3_600_000
/** How long an ended invite is still listed. */
export const keepEndedMs = 90 * dayMs

/** Entries that are removed in one transaction, so that no letter waits long. */
const stepEntries = 500

export type InviteState = 'open' | 'ended' | 'revoked' | 'used-up'

export type InviteTerms = Pick<Grant, 'until' | 'uses'>

export type StoredInvite = InviteTerms & {
  readonly key: Uint8Array
  readonly room: RoomTag
  /** For people; may be empty. */
  readonly name: string
  /** Unix ms. */
  readonly madeAt: number
  readonly state: InviteState
  /** How many different agents used it. */
  readonly used: number
  /** How many of them are in the peer table now. */
  readonly present: number
}

type Row = {
  invite_id: number
  key: Uint8Array
  tag: Uint8Array
  name: string
  made_at: number
  until_at: number | null
  uses: number | null
  revoked_at: number | null
  used: number
  present: number
}

export class Invites {
  readonly #database: HostDatabase
  readonly #statements: ReturnType<typeof prepare>

  constructor(database: HostDatabase) {
    this.#database = database
    this.#statements = prepare(database.connection)
  }

  /** False if there are too many invites. Also stores an invite again that was deleted here. */
  add(
    room: RoomTag,
    { key, until, uses, host }: InviteTerms & Pick<Grant, 'key'> & Partial<Pick<Grant, 'host'>>,
    name: string,
    now: number,
  ): boolean {
    return this.#database.inTransaction(() => {
      if ((this.#statements.size.get() as number) >= mostInvites) return false
      this.#statements.addRoom.run(room)
      const madeBy = host ?? null
      this.#statements.add.run(key, room, name, now, until ?? null, uses ?? null, madeBy, madeBy, key)
      return true
    })
  }

  list(now: number): readonly StoredInvite[] {
    return (this.#statements.list.all() as Row[]).map((row) => inviteOf(row, now))
  }

  /** The row ID of the invite with this key, and its state for this agent. Null if the invite is not stored. */
  check(
    room: RoomTag,
    key: Uint8Array,
    user: UserId,
    now: number,
  ): { readonly id: number; readonly state: InviteState } | null {
    const row = this.#statements.find.get(key, room) as
      | Pick<Row, 'invite_id' | 'until_at' | 'uses' | 'revoked_at'>
      | undefined
    if (row === undefined) return null
    const { invite_id: id, uses } = row
    const isFull = () =>
      uses !== null &&
      this.#statements.hasUser.get(id, user) === undefined &&
      (this.#statements.users.get(id) as number) >= uses
    return { id, state: stateOf(row, isFull, now) }
  }

  /** Stores that the agent used the invite. */
  use(id: number, user: UserId, now: number): void {
    if (this.#statements.hasUser.get(id, user) !== undefined) return
    if ((this.#statements.users.get(id) as number) < mostUsers) this.#statements.addUser.run(id, user, now)
  }

  /** Revokes the invite and removes the entries of all agents that used it. Returns how many entries. */
  revoke(key: Uint8Array, now: number): number {
    this.#statements.revoke.run(now, key)
    for (let removed = 0; ; ) {
      const step = this.#database.transaction(
        () => this.#statements.removeEntries.run(key, stepEntries).changes,
      )
      removed += step
      if (step < stepEntries) return removed
    }
  }

  /** Whether the host made the invite. Also true if the maker is not stored. */
  isMadeBy(key: Uint8Array, host: UserId): boolean {
    return this.#statements.madeBy.get(key, host) !== undefined
  }

  /** Removes at most `limit` entries whose invite has ended after `endedAfter` (Unix ms). Entries of older invites have
   *  expired by themselves. Returns how many. */
  removeEnded(endedAfter: number, now: number, limit: number): number {
    return this.#statements.removeEnded.run(endedAfter, now, limit).changes
  }

  /** Deletes at most `limit` invites that ended long ago. They stay invalid, because the grant has the end. A revoked invite
   *  without an end is never deleted, because it would be valid again. Returns how many. */
  forgetEnded(now: number, limit: number): number {
    return this.#statements.forget.run(now - keepEndedMs, limit).changes
  }
}

function inviteOf(row: Row, now: number): StoredInvite {
  const { used, present, until_at: until, uses } = row
  return {
    key: new Uint8Array(row.key),
    room: new Uint8Array(row.tag),
    name: row.name,
    madeAt: row.made_at,
    ...(until !== null && { until }),
    ...(uses !== null && { uses }),
    state: stateOf(row, () => uses !== null && used >= uses, now),
    used,
    present,
  }
}

function stateOf(
  { revoked_at, until_at }: Pick<Row, 'revoked_at' | 'until_at'>,
  isFull: () => boolean,
  now: number,
): InviteState {
  if (revoked_at !== null) return 'revoked'
  if (until_at !== null && now >= until_at) return 'ended'
  return isFull() ? 'used-up' : 'open'
}

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  return {
    size: statement('SELECT COUNT(*) FROM invite').pluck(),
    addRoom: statement('INSERT INTO room (tag) VALUES (?) ON CONFLICT DO NOTHING'),
    add: statement(
      `INSERT INTO invite (key, room_id, name, made_at, until_at, uses, host, revoked_at)
       VALUES (?, (SELECT room_id FROM room WHERE tag = ?), ?, ?, ?, ?, ?,
         (SELECT revoked_at FROM revocation WHERE host = ? AND key = ?))`,
    ),
    list: statement(
      `SELECT invite_id, key, tag, name, made_at, until_at, uses, revoked_at,
         (SELECT COUNT(*) FROM invite_user WHERE invite_user.invite_id = invite.invite_id) AS used,
         (SELECT COUNT(*) FROM entry WHERE entry.invite_id = invite.invite_id) AS present
       FROM invite JOIN room USING (room_id) ORDER BY invite_id`,
    ),
    find: statement(
      `SELECT invite_id, until_at, uses, revoked_at FROM invite
       WHERE key = ? AND room_id = (SELECT room_id FROM room WHERE tag = ?)`,
    ),
    hasUser: statement('SELECT 1 FROM invite_user WHERE invite_id = ? AND user_id = ?').pluck(),
    users: statement('SELECT COUNT(*) FROM invite_user WHERE invite_id = ?').pluck(),
    addUser: statement('INSERT INTO invite_user (invite_id, user_id, first_at) VALUES (?, ?, ?)'),
    madeBy: statement('SELECT 1 FROM invite WHERE key = ? AND (host = ? OR host IS NULL)').pluck(),
    revoke: statement('UPDATE invite SET revoked_at = ? WHERE key = ? AND revoked_at IS NULL'),
    removeEntries: statement(
      `DELETE FROM entry WHERE entry_order IN
         (SELECT entry_order FROM entry WHERE invite_id = (SELECT invite_id FROM invite WHERE key = ?) LIMIT ?)`,
    ),
    removeEnded: statement(
      `DELETE FROM entry WHERE entry_order IN
         (SELECT entry_order FROM invite JOIN entry USING (invite_id) WHERE until_at > ? AND until_at <= ? LIMIT ?)`,
    ),
    forget: statement(
      `DELETE FROM invite WHERE invite_id IN
         (SELECT invite_id FROM invite WHERE until_at <= ?
            AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.invite_id = invite.invite_id) LIMIT ?)`,
    ),
  }
}
