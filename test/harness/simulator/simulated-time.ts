// Virtual time without promises: jumps from one event to the next. Simulates thousands of minutes per second.

import type { Clock } from '../../../src/base/clock.ts'

/** `order` keeps simultaneous timers in the order of their creation. */
type Timer = { readonly at: number; readonly order: number; callback: (() => void) | null }

const fewTimers = 64

export class SimulatedTime implements Clock {
  #now = 0
  #made = 0
  #cancelled = 0
  /** A binary heap, earliest first. Cancelled timers stay in it until they are due or outnumber the others. */
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
    this.#siftUp(this.#heap.length - 1)
    return () => {
      if (timer.callback === null) return
      timer.callback = null
      this.#cancelled++
      if (this.#cancelled > fewTimers && this.#cancelled * 2 > this.#heap.length) this.#removeCancelled()
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
      // Cancelling a timer that has fired must not count.
      next.callback = null
      this.#now = next.at
      callback()
    }
    return true
  }

  run(forMs: number): void {
    this.runUntil(() => false, forMs)
  }

  #removeCancelled(): void {
    this.#heap = this.#heap.filter(({ callback }) => callback !== null).sort((a, b) => order(a, b))
    this.#cancelled = 0
  }

  #pop(): void {
    const last = this.#heap.pop()
    if (!last || this.#heap.length === 0) return
    this.#heap[0] = last
    this.#siftDown(0)
  }

  #siftUp(from: number): void {
    const heap = this.#heap
    const timer = heap[from] as Timer
    let index = from
    while (index > 0) {
      const parent = (index - 1) >> 1
      const other = heap[parent] as Timer
      if (order(other, timer) <= 0) break
      heap[index] = other
      index = parent
    }
    heap[index] = timer
  }

  #siftDown(from: number): void {
    const heap = this.#heap
    const timer = heap[from] as Timer
    let index = from
    for (;;) {
      let child = 2 * index + 1
      const [left, right] = [heap[child], heap[child + 1]]
      if (!left) break
      if (right && order(right, left) < 0) child++
      const other = heap[child] as Timer
      if (order(timer, other) <= 0) break
      heap[index] = other
      index = child
    }
    heap[index] = timer
  }
}

function order(a: Timer, b: Timer): number {
  return a.at - b.at || a.order - b.order
}
