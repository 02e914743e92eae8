// Virtual time without promises: jumps from one event to the next. Thousands of simulated minutes a second.

import type { Clock } from '../../../src/base/clock.ts'

type Timer = { readonly at: number; readonly callback: () => void }

export class SimulatedTime implements Clock {
  #now = 0
  /** Latest first, so that the next one is popped off the end; of equal ones the earliest made comes first. */
  readonly #timers: Timer[] = []

  now(): number {
    return this.#now
  }

  wallNow(): number {
    return Date.UTC(2026, 0, 1) + this.#now
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delayMs), callback }
    let index = this.#timers.length
    while (index > 0 && (this.#timers[index - 1] as Timer).at <= timer.at) index--
    this.#timers.splice(index, 0, timer)
    return () => {
      const found = this.#timers.indexOf(timer)
      if (found >= 0) this.#timers.splice(found, 1)
    }
  }

  /** Runs until `condition` holds (true) or `withinMs` have passed (false). */
  runUntil(condition: () => boolean, withinMs: number): boolean {
    const end = this.#now + withinMs
    while (!condition()) {
      const next = this.#timers.at(-1)
      if (!next || next.at > end) {
        this.#now = end
        return false
      }
      this.#timers.pop()
      this.#now = next.at
      next.callback()
    }
    return true
  }

  run(forMs: number): void {
    this.runUntil(() => false, forMs)
  }
}
