// The time in our letters. A host judges by it whether a letter is fresh, and of two requests of one agent it uses the
// later one. So our letters must stay valid when a user changes the computer's clock.

import type { Clock } from '../../base/clock.ts'
import { maxSessions } from './session-keys.ts'

/** Hosts tolerate larger clock errors than this, so a smaller one needs no correction. */
const negligibleMs = 60_000

export class CorrectedClock implements Clock {
  readonly #clock: Clock
  /** For each of the latest requests, by its monotonic time: the time in its letter minus that monotonic time. */
  readonly #offsets = new Map<number, number>()
  /** The offset of the request that was answered last. A host accepts letters with it. Null before the first reply. */
  #acceptedOffset: number | null = null
  /** Requests without a reply since then. */
  #requestsWithoutReply = 0

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
   * The wall clock, unless it was set back since a host last answered: then the time of that request plus the elapsed
   * time. A clock set forward looks the same as a computer that has slept, since the monotonic clock stops in sleep.
   * So we trust it. While no reply comes, every second request tries the other of the two times.
   */
  wallNow(): number {
    const wall = this.#clock.wallNow()
    if (this.#acceptedOffset === null) return wall
    // Letters have whole milliseconds, but monotonic clocks have fractions.
    const expected = Math.round(this.#acceptedOffset + this.#clock.now())
    const [likely, other] = wall >= expected ? [wall, expected] : [expected, wall]
    return Math.abs(wall - expected) > negligibleMs && this.#requestsWithoutReply % 2 === 1 ? other : likely
  }

  /** A request was composed at `now` (monotonic) and contains the wall time `sentAt`. */
  noteRequest(now: number, sentAt: number): void {
    this.#offsets.set(now, sentAt - now)
    const [oldest] = this.#offsets.keys()
    if (oldest !== undefined && this.#offsets.size > maxSessions) this.#offsets.delete(oldest)
  }

  /** A reply came to the request composed at `requestedAt` (monotonic). */
  noteReply(requestedAt: number): void {
    this.#acceptedOffset = this.#offsets.get(requestedAt) ?? this.#acceptedOffset
    this.#requestsWithoutReply = 0
  }

  noteNoReply(): void {
    this.#requestsWithoutReply++
  }
}
