// Mails that wait to be sent. They are written in the transaction of the letter they answer, and each attempt sends the same
// bytes, also after the host was killed.

import { alternately, manyWaiting } from '../base/fair-order.ts'
import { chunksOf } from '../base/list-chunks.ts'
import type { UserId } from '../letter/letter-types.ts'
import { forCount, mostRows, times } from './batch-sql.ts'
import { type Connection, type HostDatabase, mailCount, type Statement } from './host-database.ts'

export type OutboxKind = 'reply' | 'introduction' | 'signal' | 'table' | 'table-request' | 'forward' | 'taken'

export type FrozenMail = {
  readonly messageId: string
  readonly kind: OutboxKind
  readonly recipient: string
  readonly raw: Uint8Array
}

export type WaitingMail = {
  /** Its place in this outbox, which another mail may have had before, and may have after it. */
  readonly order: number
  readonly messageId: string
  readonly kind: OutboxKind
  readonly recipient: string
  /** Failed attempts so far. */
  readonly attempts: number
  /** Where they came along; otherwise `Outbox.raw` has them. */
  readonly raw?: Uint8Array
}

export type OutboxSettings = {
  /** Mails waiting, at most. When it is full, `room` is 0 and the courier leaves letters in the mailbox. */
  readonly capacity: number
}

/** Somebody waits for a reply, a signal or what becomes of a request that is forwarded; introductions and other letters to
 *  hosts may take the gaps. */
export type Urgency = 'urgent' | 'patient'

const urgencies = {
  reply: 'urgent',
  signal: 'urgent',
  introduction: 'patient',
  table: 'patient',
  'table-request': 'patient',
  forward: 'urgent',
  // Without it the representative takes the worker for dead, and another one answers once more.
  taken: 'urgent',
} as const satisfies Record<OutboxKind, Urgency>

/** As the table has it. */
export const laneOf = { urgent: 0, patient: 1 } as const satisfies Record<Urgency, number>

/** Mails whose bytes are kept in memory until they are sent, so that those need not be read again; the others are. */
const freshMails = 64

export class Outbox {
  readonly #settings: OutboxSettings
  readonly #database: HostDatabase
  readonly #statements: ReturnType<typeof prepare>
  /** By order. What is here was written in this run, though perhaps undone. */
  readonly #fresh = new Map<number, Pick<FrozenMail, 'messageId' | 'raw'>>()

  constructor(database: HostDatabase, settings: OutboxSettings) {
    this.#settings = settings
    this.#database = database
    this.#statements = prepare(database.connection)
  }

  get size(): number {
    return this.#statements.size.get() as number
  }

  /** How many more mails of this kind may be added. Introductions leave half of the outbox to replies. */
  room(kind: OutboxKind): number {
    const share =
      urgencies[kind] === 'urgent' ? this.#settings.capacity : Math.floor(this.#settings.capacity / 2)
    return Math.max(0, share - this.size)
  }

  /** Throws when the Message-ID is already there. `user`: whom a reply is for. `wantedSince`: when the letter was written
   *  that it answers; of many that wait this tells the newest. */
  add(mail: FrozenMail, now: number, user: UserId | null = null, wantedSince = now): void {
    const { messageId, kind, recipient, raw } = mail
    const lane = laneOf[urgencies[kind]]
    // Mails that several processes claim go longest due first, and none may come before those that waited longer.
    const due = this.#database.connection.isShared ? now : Math.min(now, wantedSince)
    const order = this.#statements.add.get(messageId, kind, lane, recipient, raw, now, due, user) as number
    // SQLite gives the number of a mail that is gone, or never came to be, to another one.
    this.#fresh.delete(order)
    // Another process may send what was written here; then nobody asks for it.
    if (this.#database.connection.isShared && this.#fresh.size >= freshMails) this.#fresh.clear()
    if (this.#fresh.size < freshMails) this.#fresh.set(order, { messageId, raw })
  }

  /** In the place of the reply to the same agent that waits longest, if one does: nobody needs both. */
  addLatest(mail: FrozenMail, now: number, user: UserId, wantedSince = now): void {
    const { messageId, recipient, raw } = mail
    const order = this.#statements.replace.get(messageId, raw, now, user, recipient) as number | undefined
    if (order === undefined) this.add(mail, now, user, wantedSince)
    else this.#fresh.delete(order)
  }

  /** What may be tried now: longest due or wanted first, or in turns where many wait. */
  due(urgency: Urgency, now: number, limit: number): readonly WaitingMail[] {
    const oldest = this.#statements.due.all(laneOf[urgency], now, limit) as WaitingMail[]
    if (oldest.length < limit || this.size <= manyWaiting) return oldest
    const newest = this.#statements.dueLast.all(laneOf[urgency], now, limit) as WaitingMail[]
    const byOrder = new Map([...oldest, ...newest.reverse()].map((mail) => [mail.order, mail]))
    return [...alternately([...byOrder.values()])].slice(0, limit)
  }

  /** Of a mail that `due` told of. Null when it is gone, or another has taken its place. */
  raw({ order, messageId }: WaitingMail): Uint8Array | null {
    const fresh = this.#fresh.get(order)
    if (this.#fresh.delete(order) && fresh?.messageId === messageId) return fresh.raw
    const raw = this.#statements.raw.get(order, messageId) as Uint8Array | undefined
    return raw === undefined ? null : new Uint8Array(raw)
  }

  /** Unix ms of the earliest attempt later than `now`; null when there is none. */
  nextAttemptAfter(now: number): number | null {
    const earliest = [0, 1].flatMap(
      (lane) => (this.#statements.next.get(lane, now) as number | undefined) ?? [],
    )
    return earliest.length === 0 ? null : Math.min(...earliest)
  }

  /** Takes out mails that were sent, refused or given up; one sync to disk for all of them. What has taken the place of
   *  one stays. Says how many there were. */
  drop(mails: readonly WaitingMail[]): number {
    if (mails.length === 0) return 0
    for (const { order } of mails) this.#fresh.delete(order)
    return this.#database.inTransaction(() =>
      chunksOf(mails, mostRows).reduce((sum, some) => {
        const values = some.flatMap(({ order, messageId }) => [order, messageId])
        return sum + this.#statements.drop(some.length).run(...values).changes
      }, 0),
    )
  }

  /** The attempt failed; the same bytes are due again at `nextAttemptAt` (Unix ms). */
  postpone(order: number, nextAttemptAt: number): void {
    this.#statements.postpone.run(nextAttemptAt, order)
  }

  /** Mails added at `addedUntil` (Unix ms) or before: too old to be of use to anybody. */
  tooOld(addedUntil: number, limit: number): readonly WaitingMail[] {
    return this.#statements.tooOld.all(addedUntil, limit) as WaitingMail[]
  }

  /** After our clock was set back: no mail waits longer than until `latest` (Unix ms). At most `limit` a step. */
  clampFuture(now: number, latest: number, limit: number): number {
    const attempts = [0, 1].map((lane) => this.#statements.clampAttempt.run(now, lane, latest, limit).changes)
    return (attempts[0] ?? 0) + (attempts[1] ?? 0) + this.#statements.clampAge.run(now, now, limit).changes
  }
}

/** Of a WaitingMail. */
export const waitingColumns = 'mail_order AS "order", message_id AS "messageId", kind, recipient, attempts'

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  return {
    size: statement(`SELECT ${mailCount(connection)} FROM tally WHERE tally_id = 1`).pluck(),
    add: statement(
      `INSERT INTO mail (message_id, kind, lane, recipient, raw, attempts, added_at, next_attempt_at, user_id)
       VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?) RETURNING mail_order`,
    ).pluck(),
    replace: statement(
      `UPDATE mail SET message_id = ?, raw = ?, added_at = ? WHERE mail_order =
         (SELECT mail_order FROM mail WHERE user_id = ? AND recipient = ? AND kind = 'reply'
          ORDER BY next_attempt_at, mail_order LIMIT 1) RETURNING mail_order`,
    ).pluck(),
    due: statement(
      `SELECT ${waitingColumns} FROM mail WHERE lane = ? AND next_attempt_at <= ?
       ORDER BY next_attempt_at, mail_order LIMIT ?`,
    ),
    dueLast: statement(
      `SELECT ${waitingColumns} FROM mail WHERE lane = ? AND next_attempt_at <= ?
       ORDER BY next_attempt_at DESC, mail_order DESC LIMIT ?`,
    ),
    raw: statement('SELECT raw FROM mail WHERE mail_order = ? AND message_id = ?').pluck(),
    next: statement(
      'SELECT next_attempt_at FROM mail WHERE lane = ? AND next_attempt_at > ? ORDER BY next_attempt_at LIMIT 1',
    ).pluck(),
    drop: forCount((count) =>
      statement(`DELETE FROM mail WHERE ${times(count, '(mail_order = ? AND message_id = ?)', ' OR ')}`),
    ),
    postpone: statement('UPDATE mail SET attempts = attempts + 1, next_attempt_at = ? WHERE mail_order = ?'),
    tooOld: statement(`SELECT ${waitingColumns} FROM mail WHERE added_at <= ? ORDER BY added_at LIMIT ?`),
    clampAttempt: statement(
      `UPDATE mail SET next_attempt_at = ? WHERE mail_order IN
         (SELECT mail_order FROM mail WHERE lane = ? AND next_attempt_at > ? LIMIT ?)`,
    ),
    clampAge: statement(
      `UPDATE mail SET added_at = ? WHERE mail_order IN (SELECT mail_order FROM mail WHERE added_at > ? LIMIT ?)`,
    ),
  }
}
