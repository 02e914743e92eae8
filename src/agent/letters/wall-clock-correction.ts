// The time that our letters bear. A host takes a letter for fresh by it, and of two requests of one agent the one with the
// later time counts: so somebody who sets the computer's clock must not make our letters count for nothing.

import type { Clock } from '../../base/clock.ts'
import { keptSessions } from './session-keys.ts'

/** A smaller error of the clock does no harm: hosts accept letters from clocks that are wrong by more. */
const negligibleMs = 60_000

export class CorrectedClock implements Clock {
  readonly #clock: Clock
  /** Of the latest requests: when each was written, and what the time in it was ahead of our monotonic time. */
  readonly #offsets = new Map<number, number>()
  /** Of the request that was answered last: with this offset a host takes us for punctual. Null before. */
  #proven: number | null = null
  /** Requests without an answer since. */
  #doubts = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.#clock.after(delayMs, callback)
  }

  /**
   * What the clock on the wall shows, unless it was set back since a host answered us: the time that passed can be counted
   * from then on. Set forward it cannot be told from a computer that has slept, while which nothing is counted: so it is
   * believed. Where nobody answers, every other request tries what else may be true.
   */
  wallNow(): number {
    const wall = this.#clock.wallNow()
    if (this.#proven === null) return wall
    // Letters bear whole milliseconds, and monotonic clocks have fractions.
    const counted = Math.round(this.#proven + this.#clock.now())
    const [likely, other] = wall >= counted ? [wall, counted] : [counted, wall]
    return Math.abs(wall - counted) > negligibleMs && this.#doubts % 2 === 1 ? other : likely
  }

  /** A request is written at `now` (monotonic) and bears this time. */
  asked(now: number, sentAt: number): void {
    this.#offsets.set(now, sentAt - now)
    const [oldest] = this.#offsets.keys()
    if (oldest !== undefined && this.#offsets.size > keptSessions) this.#offsets.delete(oldest)
  }

  /** That which was written at `requestedAt`. */
  answered(requestedAt: number): void {
    this.#proven = this.#offsets.get(requestedAt) ?? this.#proven
    this.#doubts = 0
  }

  unanswered(): void {
    this.#doubts++
  }
}
