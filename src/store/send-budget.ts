// The daily budget of mails, stored over restarts. Providers count what an account sends. They block an account that sends too
// much, often for longer than a day.

import type { Connection, HostDatabase, Statement } from './host-database.ts'
import type { Urgency } from './outbox.ts'

export type SendBudgetSettings = {
  /** 0 for any number. */
  readonly perDay: number
}

/** `replies-only`: only urgent mails are sent. `used-up`: no mail is sent. */
export type BudgetState = 'ample' | 'replies-only' | 'used-up'

const hourMs = 3_600_000
/** An hour counts until one day after its end, so that no period of 24 hours has more mails than the budget. */
const hoursCounted = 25
/** The share of the budget for mails of this urgency; at least one mail. */
const shares = { urgent: 1, normal: 0.75 } as const satisfies Record<Urgency, number>

type Row = { readonly hour: number; readonly mails: number }

export class SendBudget {
  readonly #perDay: number
  readonly #database: HostDatabase
  readonly #statements: ReturnType<typeof prepare>

  constructor(database: HostDatabase, { perDay }: SendBudgetSettings) {
    this.#perDay = perDay
    this.#database = database
    this.#statements = prepare(database.connection)
  }

  /** Mails sent in the last 24 to 25 hours. `now` is Unix ms, here and below. */
  sent(now: number): number {
    return this.#statements.sent.get(firstHour(now)) as number
  }

  /** Call this in the transaction that removes the mails from the outbox, so that each counts once. */
  count(mails: number, now: number): void {
    if (mails === 0) return
    this.#statements.count.run(hourOf(now), mails)
    this.#statements.forget.run(firstHour(now))
  }

  get isLimited(): boolean {
    return this.#perDay > 0
  }

  /** How many more mails may be sent; Infinity without a budget. */
  left(urgency: Urgency, now: number): number {
    if (this.#perDay === 0) return Number.POSITIVE_INFINITY
    return Math.max(0, this.#most(urgency) - this.sent(now))
  }

  state(now: number): BudgetState {
    if (this.left('normal', now) > 0) return 'ample'
    return this.left('urgent', now) > 0 ? 'replies-only' : 'used-up'
  }

  /** When the next mail may be sent (Unix ms), if none is sent until then. */
  freeAt(urgency: Urgency, now: number): number {
    let excess = this.sent(now) - this.#most(urgency)
    for (const { hour, mails } of this.#statements.hours.all(firstHour(now)) as Row[]) {
      if (excess < 0 || this.#perDay === 0) break
      excess -= mails
      if (excess < 0) return (hour + hoursCounted) * hourMs
    }
    return now
  }

  /** Corrects times in the future after our clock was set back: mails sent "later" count as sent now. */
  clampFuture(now: number): void {
    this.#database.inTransaction(() => {
      const later = this.#statements.later.get(hourOf(now)) as number
      if (later === 0) return
      this.#statements.forgetLater.run(hourOf(now))
      this.count(later, now)
    })
  }

  #most(urgency: Urgency): number {
    return Math.max(1, Math.floor(this.#perDay * shares[urgency]))
  }
}

export function hourOf(now: number): number {
  return Math.floor(now / hourMs)
}

/** The first hour that counts. */
export function firstHour(now: number): number {
  return hourOf(now) - hoursCounted + 1
}

function prepare(connection: Connection) {
  const statement = (sql: string): Statement => connection.prepare(sql)
  return {
    sent: statement('SELECT COALESCE(SUM(mails), 0) FROM sent_hour WHERE hour >= ?').pluck(),
    hours: statement('SELECT hour, mails FROM sent_hour WHERE hour >= ? ORDER BY hour'),
    count: statement(
      'INSERT INTO sent_hour (hour, mails) VALUES (?, ?) ON CONFLICT (hour) DO UPDATE SET mails = sent_hour.mails + excluded.mails',
    ),
    forget: statement('DELETE FROM sent_hour WHERE hour < ?'),
    later: statement('SELECT COALESCE(SUM(mails), 0) FROM sent_hour WHERE hour > ?').pluck(),
    forgetLater: statement('DELETE FROM sent_hour WHERE hour > ?'),
  }
}
