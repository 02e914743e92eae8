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
      await settled()
      const next = this.#next()
      if (!next || next.at > end) break
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.callback()
    }
    this.#now = end
    await settled()
  }

  #next(): Timer | undefined {
    let first: Timer | undefined
    for (const timer of this.#timers) {
      if (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order)) first = timer
    }
    return first
  }
}

/** Those that wait in `settled` have an immediate each. */
let settling = 0

/** Until nothing is left to do but to wait: parsing and composing a mail takes many turns of the event loop. */
export function settled(): Promise<void> {
  settling++
  return new Promise((resolve) => {
    const turn = () => {
      const immediates = process.getActiveResourcesInfo().filter((name) => name === 'Immediate').length
      if (immediates > settling - 1) setImmediate(turn)
      else {
        settling--
        resolve()
      }
    }
    setImmediate(turn)
  })
}
