// Virtual time without promises: jumps from one event to the next. Thousands of simulated minutes a second.

import type { Clock } from '../../../src/base/clock.ts'

/** `order` keeps what is due at the same instant in the order in which it was asked for. */
type Timer = { readonly at: number; readonly order: number; callback: (() => void) | null }

const fewTimers = 64

export class SimulatedTime implements Clock {
  #now = 0
  #made = 0
  #cancelled = 0
  /** A binary heap, soonest first. Cancelled timers stay in it until they are due or outnumber the rest. */
  #heap: Timer[] = []

  now(): number {
    return this.#now
  }

  wallNow(): number {
    return Date.UTC(2026, 0, 1) + this.#now
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { at: this.#now + Math.max(0, delayMs), order: this.#made++, callback }
    this.#heap.push(timer)
    this.#rise(this.#heap.length - 1)
    return () => {
      if (timer.callback === null) return
      timer.callback = null
      this.#cancelled++
      if (this.#cancelled > fewTimers && this.#cancelled * 2 > this.#heap.length) this.#sweep()
    }
  }

  /** Runs until `condition` holds (true) or `withinMs` have passed (false). */
  runUntil(condition: () => boolean, withinMs: number): boolean {
    const end = this.#now + withinMs
    while (!condition()) {
      const next = this.#heap[0]
      if (!next || next.at > end) {
        this.#now = end
        return false
      }
      this.#pop()
      const { callback } = next
      if (!callback) {
        this.#cancelled--
        continue
      }
      // Cancelling a timer that has gone off must count nothing.
      next.callback = null
      this.#now = next.at
      callback()
    }
    return true
  }

  run(forMs: number): void {
    this.runUntil(() => false, forMs)
  }

  #sweep(): void {
    this.#heap = this.#heap.filter(({ callback }) => callback !== null).sort((a, b) => order(a, b))
    this.#cancelled = 0
  }

  #pop(): void {
    const last = this.#heap.pop()
    if (!last || this.#heap.length === 0) return
    this.#heap[0] = last
    this.#sink(0)
  }

  #rise(from: number): void {
    const heap = this.#heap
    const timer = heap[from] as Timer
    let index = from
    while (index > 0) {
      const above = (index - 1) >> 1
      const other = heap[above] as Timer
      if (order(other, timer) <= 0) break
      heap[index] = other
      index = above
    }
    heap[index] = timer
  }

  #sink(from: number): void {
    const heap = this.#heap
    const timer = heap[from] as Timer
    let index = from
    for (;;) {
      let below = 2 * index + 1
      const [left, right] = [heap[below], heap[below + 1]]
      if (!left) break
      if (right && order(right, left) < 0) below++
      const other = heap[below] as Timer
      if (order(timer, other) <= 0) break
      heap[index] = other
      index = below
    }
    heap[index] = timer
  }
}

function order(a: Timer, b: Timer): number {
  return a.at - b.at || a.order - b.order
}
