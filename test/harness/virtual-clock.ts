// A clock that stands still until it is advanced. Timers fire in order of time, then of creation.

import type { Clock } from '../../src/base/clock.ts'

type Timer = { readonly at: number; readonly order: number; readonly callback: () => void }

export class VirtualClock implements Clock {
  #now = 0
  #wallOffset: number
  #order = 0
  readonly #timers = new Set<Timer>()

  constructor(wallStart = Date.UTC(2026, 0, 1)) {
    this.#wallOffset = wallStart
  }

  now(): number {
    return this.#now
  }

  wallNow(): number {
    return this.#wallOffset + this.#now
  }

  /** Sets the computer's wall clock. */
  jumpWall(byMs: number): void {
    this.#wallOffset += byMs
  }

  /** The computer sleeps: timers that fall due meanwhile fire late. */
  sleep(byMs: number): void {
    this.#now += byMs
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delayMs), order: this.#order++, callback }
    this.#timers.add(timer)
    return () => void this.#timers.delete(timer)
  }

  get pendingTimers(): number {
    return this.#timers.size
  }

  /** Advances time and fires due timers. Promises settle between timers. */
  async advance(byMs: number): Promise<void> {
    const end = this.#now + byMs
    for (;;) {
      await settle()
      const next = this.#next()
      if (!next || next.at > end) break
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.callback()
    }
    this.#now = end
    await settle()
  }

  #next(): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) {
      if (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order)) first = timer
    }
    return first
  }
}

/** Event loop iterations that mailparser and nodemailer's composer need for a mail, with a margin. */
const turnsOfMail = 60

/** Lets everything that is already resolved continue. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < turnsOfMail; turn++) await new Promise((resolve) => setImmediate(resolve))
}
