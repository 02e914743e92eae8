// The clock of one program, which can be stopped. Afterwards the program does nothing any more, as if it had
// been killed.

import type { Clock } from '../../../src/base/clock.ts'

export class StoppableClock implements Clock {
  readonly #clock: Clock
  readonly #cancels = new Set<() => void>()
  readonly #wallOffsetMs: () => number
  #isRunning = true

  /** `wallOffsetMs`: the error of the computer's wall clock. */
  constructor(clock: Clock, wallOffsetMs = () => 0) {
    this.#clock = clock
    this.#wallOffsetMs = wallOffsetMs
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  /** Running timers of this program. */
  get pendingTimers(): number {
    return this.#cancels.size
  }

  cut(): void {
    this.#isRunning = false
    for (const cancel of this.#cancels) cancel()
    this.#cancels.clear()
  }

  now(): number {
    return this.#clock.now()
  }

  wallNow(): number {
    return this.#clock.wallNow() + this.#wallOffsetMs()
  }

  after(delayMs: number, callback: () => void): () => void {
    if (!this.#isRunning) return () => {}
    const cancel = this.#clock.after(delayMs, () => {
      this.#cancels.delete(cancel)
      callback()
    })
    this.#cancels.add(cancel)
    return () => {
      this.#cancels.delete(cancel)
      cancel()
    }
  }
}
