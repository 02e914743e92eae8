// For a representative host (A14): the worker of each sender, and the forwarded letters that no worker has confirmed yet.

import { decodeCbor, encodeCbor } from '../letter/cbor.ts'
import type { LetterId, UserId } from '../letter/letter-types.ts'
import type { Connection, HostDatabase, Statement } from './host-database.ts'

/** A keyed hash of a mail address, 16 bytes. */
export type SenderHash = Uint8Array

export type Forward = {
  /** ID of the forward letter, the same for each worker that it is sent to. */
  readonly id: LetterId
  readonly sender: SenderHash
  readonly worker: UserId
  readonly mailFrom: string
  readonly mailDate: number | null
  readonly mailId: string | null
  /** The boxes of the mail, unchanged. */
  readonly boxes: readonly Uint8Array[]
  /** How often it was sent to a worker so far. */
  readonly tries: number
}

export type ForwardedLettersSettings = {
  /** Stored senders, at most. Beyond this those that wrote longest ago are deleted. */
  readonly senders: number
  /** Unconfirmed letters, at most. Then `freeSlots` is 0. */
  readonly forwards: number
}

type Row = {
  readonly id: Uint8Array
  readonly sender: Uint8Array
  readonly worker: Uint8Array
  readonly mailFrom: string
  readonly mailDate: number | null
  readonly mailId: string | null
  readonly boxes: Uint8Array
  readonly tries: number
}

export class ForwardedLetters {
  readonly #settings: ForwardedLettersSettings
  readonly #database: HostDatabase
  readonly #sql: ReturnType<typeof prepare>

  constructor(database: HostDatabase, settings: ForwardedLettersSettings) {
    this.#settings = settings
    this.#database = database
    this.#sql = prepare(database.connection)
  }

  /** How many more letters can be stored. */
  get freeSlots(): number {
    return Math.max(0, this.#settings.forwards - this.size)
  }

  /** The number of letters that no worker has confirmed. */
  get size(): number {
    return this.#sql.size.get() as number
  }

  workerOf(sender: SenderHash): UserId | null {
    const worker = this.#sql.workerOf.get(sender) as Uint8Array | undefined
    return worker ? new Uint8Array(worker) : null
  }

  /** Assigns a worker to a sender and stores that the sender wrote now. */
  assign(sender: SenderHash, worker: UserId, now: number): void {
    this.#sql.assign.run(sender, worker, now)
    const excess = (this.#sql.choices.get() as number) - this.#settings.senders
    if (excess > 0) this.#sql.forgetOldest.run(excess)
  }

  /** Stores a letter that is sent in the mail `messageId`. If it is stored already, it gets the new worker and one more
   *  try. */
  put(forward: Omit<Forward, 'tries'>, messageId: string, now: number): void {
    const { id, sender, worker, mailFrom, mailDate, mailId, boxes } = forward
    const content = encodeCbor([...boxes])
    this.#sql.put.run(id, sender, worker, mailFrom, mailDate, mailId, content, messageId, now)
  }

  /** The worker found the letter and did not handle it, so it waits to be sent again. That try does not count. Does nothing
   *  if another worker has it by now. */
  requeue(id: LetterId, worker: UserId): void {
    this.#sql.requeue.run(id, worker)
  }

  /** A worker has confirmed the letter, or it is given up. */
  drop(id: LetterId): void {
    this.#sql.drop.run(id)
  }

  /** The letters of this worker that were sent to it at `until` (Unix ms) or before, oldest first. Without those whose mail
   *  is still in our outbox, but with all that were requeued: these were sent, even if the outbox does not know it yet. */
  waiting(worker: UserId, until: number, limit: number): readonly Forward[] {
    return (this.#sql.waiting.all(worker, until, limit) as Row[]).map(forwardOf)
  }

  /** Deletes at most `limit` senders that have not written since `before` (Unix ms). Returns how many. */
  forgetSenders(before: number, limit: number): number {
    return this.#sql.forget.run(before, limit).changes
  }

  /** Corrects times in the future after our clock was set back. */
  clampFuture(now: number): void {
    this.#database.inTransaction(() => {
      this.#sql.clampChoices.run(now, now)
      this.#sql.clampForwards.run(now, now)
    })
  }
}

function forwardOf({ id, sender, worker, boxes, ...rest }: Row): Forward {
  return {
    ...rest,
    id: new Uint8Array(id),
    sender: new Uint8Array(sender),
    worker: new Uint8Array(worker),
    boxes: decodeCbor(new Uint8Array(boxes)) as Uint8Array[],
  }
}

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  return {
    size: statement('SELECT forwards FROM tally WHERE tally_id = 1').pluck(),
    choices: statement('SELECT choices FROM tally WHERE tally_id = 1').pluck(),
    workerOf: statement('SELECT worker FROM worker_choice WHERE sender = ?').pluck(),
    assign: statement(
      `INSERT INTO worker_choice (sender, worker, used_at) VALUES (?, ?, ?)
       ON CONFLICT (sender) DO UPDATE SET worker = excluded.worker, used_at = excluded.used_at`,
    ),
    forgetOldest: statement(
      `DELETE FROM worker_choice WHERE sender IN (SELECT sender FROM worker_choice ORDER BY used_at LIMIT ?)`,
    ),
    put: statement(
      `INSERT INTO forward
         (forward_id, sender, worker, mail_from, mail_date, mail_id, boxes, message_id, tries, forwarded_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?)
       ON CONFLICT (forward_id) DO UPDATE SET worker = excluded.worker, message_id = excluded.message_id,
         tries = forward.tries + 1, forwarded_at = excluded.forwarded_at`,
    ),
    requeue: statement(
      'UPDATE forward SET forwarded_at = 0, tries = tries - 1 WHERE forward_id = ? AND worker = ? AND forwarded_at > 0',
    ),
    drop: statement('DELETE FROM forward WHERE forward_id = ?'),
    waiting: statement(
      `SELECT forward_id AS id, sender, worker, mail_from AS "mailFrom", mail_date AS "mailDate", mail_id AS "mailId", boxes, tries
       FROM forward WHERE worker = ? AND forwarded_at <= ?
         AND (forwarded_at = 0 OR NOT EXISTS (SELECT 1 FROM mail WHERE mail.message_id = forward.message_id))
       ORDER BY forwarded_at LIMIT ?`,
    ),
    forget: statement(
      `DELETE FROM worker_choice WHERE sender IN
         (SELECT sender FROM worker_choice WHERE used_at < ? ORDER BY used_at LIMIT ?)`,
    ),
    clampChoices: statement('UPDATE worker_choice SET used_at = ? WHERE used_at > ?'),
    clampForwards: statement('UPDATE forward SET forwarded_at = ? WHERE forwarded_at > ?'),
  }
}
