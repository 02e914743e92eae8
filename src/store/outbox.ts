// Mails that wait to be sent. A reply is written in the transaction of the letter that it answers. Each attempt sends the same
// bytes, also after the host was killed.

import { alternately, manyWaiting } from '../base/fair-order.ts'
import { chunksOf } from '../base/list-chunks.ts'
import type { UserId } from '../letter/letter-types.ts'
import { byCount, mostRows, repeat } from './batch-sql.ts'
import { type Connection, type HostDatabase, mailCount, type Statement } from './host-database.ts'

export type OutboxKind = 'reply' | 'introduction' | 'signal' | 'table' | 'table-request' | 'forward' | 'taken'

export type OutboxMail = {
  readonly messageId: string
  readonly kind: OutboxKind
  readonly recipient: string
  readonly raw: Uint8Array
}

export type WaitingMail = {
  /** Row number in the outbox. SQLite may use it again for another mail. */
  readonly order: number
  readonly messageId: string
  readonly kind: OutboxKind
  readonly recipient: string
  /** Failed attempts so far. */
  readonly attempts: number
  /** The bytes, if they were read with the row. Otherwise `Outbox.raw` reads them. */
  readonly raw?: Uint8Array
}

export type OutboxSettings = {
  /** Waiting mails, at most. When the outbox is full, `freeSlots` is 0, and letters stay in the mailbox. */
  readonly capacity: number
}

/** Urgent: an agent waits for this mail. Other mails are sent when no urgent mail is due. */
export type Urgency = 'urgent' | 'normal'

const urgencies = {
  reply: 'urgent',
  signal: 'urgent',
  introduction: 'normal',
  table: 'normal',
  'table-request': 'normal',
  forward: 'urgent',
  // If it is late, the representative takes the worker for dead, and another worker answers the request again.
  taken: 'urgent',
} as const satisfies Record<OutboxKind, Urgency>

/** The value of the column `lane`. */
export const laneOf = { urgent: 0, normal: 1 } as const satisfies Record<Urgency, number>

/** Mails whose bytes stay in memory until they are sent. The bytes of the others are read again. */
const freshMails = 64

export class Outbox {
  readonly #settings: OutboxSettings
  readonly #database: HostDatabase
  readonly #statements: ReturnType<typeof prepare>
  /** By row number. Mails written in this run, even if their transaction was rolled back. */
  readonly #fresh = new Map<number, Pick<OutboxMail, 'messageId' | 'raw'>>()

  constructor(database: HostDatabase, settings: OutboxSettings) {
    this.#settings = settings
    this.#database = database
    this.#statements = prepare(database.connection)
  }

  get size(): number {
    return this.#statements.size.get() as number
  }

  /** How many more mails of this kind can be added. Mails that are not urgent may fill only half of the outbox. */
  freeSlots(kind: OutboxKind): number {
    const share =
      urgencies[kind] === 'urgent' ? this.#settings.capacity : Math.floor(this.#settings.capacity / 2)
    return Math.max(0, share - this.size)
  }

  /** Throws if the Message-ID is already there. `user`: the recipient of a reply. `requestedAt`: when the letter was signed
   *  that the mail answers (Unix ms). The newest waiting mail is found by it. */
  add(mail: OutboxMail, now: number, user: UserId | null = null, requestedAt = now): void {
    const { messageId, kind, recipient, raw } = mail
    const lane = laneOf[urgencies[kind]]
    // Several processes send mails in the order in which these became due. So a mail must not be due before older ones.
    const due = this.#database.connection.isShared ? now : Math.min(now, requestedAt)
    const order = this.#statements.add.get(messageId, kind, lane, recipient, raw, now, due, user) as number
    // SQLite may use the row number of a mail that was deleted or rolled back.
    this.#fresh.delete(order)
    // Another process may send the mails written here. Then nobody reads their bytes from this cache.
    if (this.#database.connection.isShared && this.#fresh.size >= freshMails) this.#fresh.clear()
    if (this.#fresh.size < freshMails) this.#fresh.set(order, { messageId, raw })
  }

  /** Replaces the longest waiting reply to the same agent, because the agent needs only the latest. Without such a reply,
   *  adds the mail. */
  addLatest(mail: OutboxMail, now: number, user: UserId, requestedAt = now): void {
    const { messageId, recipient, raw } = mail
    const order = this.#statements.replace.get(messageId, raw, now, user, recipient) as number | undefined
    if (order === undefined) this.add(mail, now, user, requestedAt)
    else this.#fresh.delete(order)
  }

  /** The mails that can be sent now, longest due first. If many wait, the newest and the oldest alternate. */
  due(urgency: Urgency, now: number, limit: number): readonly WaitingMail[] {
    const oldest = this.#statements.due.all(laneOf[urgency], now, limit) as WaitingMail[]
    if (oldest.length < limit || this.size <= manyWaiting) return oldest
    const newest = this.#statements.dueLast.all(laneOf[urgency], now, limit) as WaitingMail[]
    const byOrder = new Map([...oldest, ...newest.reverse()].map((mail) => [mail.order, mail]))
    return [...alternately([...byOrder.values()])].slice(0, limit)
  }

  /** The bytes of a mail from `due`. Null if it is gone or was replaced. */
  raw({ order, messageId }: WaitingMail): Uint8Array | null {
    const fresh = this.#fresh.get(order)
    if (this.#fresh.delete(order) && fresh?.messageId === messageId) return fresh.raw
    const raw = this.#statements.raw.get(order, messageId) as Uint8Array | undefined
    return raw === undefined ? null : new Uint8Array(raw)
  }

  /** The time of the earliest attempt after `now` (Unix ms); null if there is none. */
  nextAttemptAfter(now: number): number | null {
    const earliest = [0, 1].flatMap(
      (lane) => (this.#statements.next.get(lane, now) as number | undefined) ?? [],
    )
    return earliest.length === 0 ? null : Math.min(...earliest)
  }

  /** Removes mails that were sent, refused or given up, with one sync to disk. A mail that replaced one of them stays.
   *  Returns how many were removed. */
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

  /** The attempt failed. The mail is due again at `nextAttemptAt` (Unix ms). */
  postpone(order: number, nextAttemptAt: number): void {
    this.#statements.postpone.run(nextAttemptAt, order)
  }

  /** Mails added at `addedUntil` (Unix ms) or before, which are too old to be useful. */
  tooOld(addedUntil: number, limit: number): readonly WaitingMail[] {
    return this.#statements.tooOld.all(addedUntil, limit) as WaitingMail[]
  }

  /** Corrects times in the future after our clock was set back: no attempt is later than `latest` (Unix ms). Changes at most
   *  `limit` rows of each kind and returns how many. */
  clampFuture(now: number, latest: number, limit: number): number {
    const attempts = [0, 1].map((lane) => this.#statements.clampAttempt.run(now, lane, latest, limit).changes)
    return (attempts[0] ?? 0) + (attempts[1] ?? 0) + this.#statements.clampAge.run(now, now, limit).changes
  }
}

/** The columns of a WaitingMail. */
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
    drop: byCount((count) =>
      statement(`DELETE FROM mail WHERE ${repeat(count, '(mail_order = ? AND message_id = ?)', ' OR ')}`),
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
