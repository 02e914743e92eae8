// Waits that end early: with the work they wait for, or when somebody wakes them.

import type { Clock } from './clock.ts'

/** Resolves when `work` has ended, well or not, or after `graceMs`. */
export function waitAtMost(clock: Clock, graceMs: number, work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      cancel()
      resolve()
    }
    const cancel = clock.after(graceMs, finish)
    work.then(finish, finish)
  })
}

/** The waits of one loop, one at a time. */
export class WakeableWait {
  readonly #clock: Clock
  #finish: (() => void) | null = null
  #canBeWoken = false
  #isStopped = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  /** Until the time has passed, or `wake` or `stop` is called. */
  sleep(forMs: number): Promise<void> {
    return this.#wait(forMs, true)
  }

  /** Until the time has passed, or `stop` is called. */
  pause(forMs: number): Promise<void> {
    return this.#wait(forMs, false)
  }

  wake(): void {
    if (this.#canBeWoken) this.#finish?.()
  }

  /** From now on nothing is waited for. */
  stop(): void {
    this.#isStopped = true
    this.#finish?.()
  }

  #wait(forMs: number, canBeWoken: boolean): Promise<void> {
    if (this.#isStopped) return Promise.resolve()
    this.#canBeWoken = canBeWoken
    return new Promise((resolve) => {
      const finish = () => {
        cancel()
        this.#finish = null
        resolve()
      }
      const cancel = this.#clock.after(forMs, finish)
      this.#finish = finish
    })
  }
}
