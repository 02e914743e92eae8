// The power supply of one program: a clock of its own, which can be cut off. Afterwards the program does nothing
// any more, as if it had been killed.

import type { Clock } from '../../../src/base/clock.ts'

export class Power implements Clock {
  readonly #clock: Clock
  readonly #cancels = new Set<() => void>()
  readonly #wallOffsetMs: () => number
  #isOn = true

  /** `wallOffsetMs`: how wrong the computer's clock is. */
  constructor(clock: Clock, wallOffsetMs = () => 0) {
    this.#clock = clock
    this.#wallOffsetMs = wallOffsetMs
  }

  get isOn(): boolean {
    return this.#isOn
  }

  /** Timers set by this program and still running. */
  get pendingTimers(): number {
    return this.#cancels.size
  }

  cut(): void {
    this.#isOn = false
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
    if (!this.#isOn) return () => {}
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
