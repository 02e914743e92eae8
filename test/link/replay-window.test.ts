import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ReplayWindow } from '../../src/link/replay-window.ts'

/** A reference model that keeps every counter. */
class Model {
  readonly #seen = new Set<number>()
  highest = -1

  isSeen(counter: number): boolean {
    return this.#seen.has(counter)
  }

  mark(counter: number): void {
    this.#seen.add(counter)
    this.highest = Math.max(this.highest, counter)
  }
}

const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: -300, max: 40 }) },
    { weight: 1, arbitrary: fc.integer({ min: -3000, max: 5000 }) },
    { weight: 1, arbitrary: fc.constantFrom(2 ** 20, 2 ** 31, 2 ** 33, 2 ** 40) },
  ),
  { maxLength: 400 },
)

test('no counter is accepted twice, and every new recent one is accepted', () => {
  const check = (size: number, start: number, moves: readonly number[]) => {
    const window = new ReplayWindow(size)
    const model = new Model()
    let at = start
    for (const move of moves) {
      at = Math.min(2 ** 48 - 1, Math.max(0, Math.max(at, model.highest) + move))
      const isNew = window.isNew(at)
      if (model.isSeen(at)) assert.equal(isNew, false, `${at} was seen`)
      else if (at > model.highest - size) assert.equal(isNew, true, `${at} is new and recent`)
      if (!isNew) continue
      window.mark(at)
      model.mark(at)
      assert.equal(window.isNew(at), false)
    }
  }
  const sizes = fc.constantFrom(32, 64, 1024, 2048)
  const starts = fc.constantFrom(0, 1, 31, 32, 2 ** 31, 2 ** 32, 2 ** 47)
  fc.assert(fc.property(sizes, starts, steps, check), { numRuns: 300 })
})

test('the default window accepts a packet that 2,000 others overtook, and none older than the window', () => {
  const window = new ReplayWindow()
  for (let counter = 1; counter <= 2000; counter++) window.mark(counter)
  assert.equal(window.isNew(0), true)
  for (let counter = 2001; counter <= 10_000; counter++) window.mark(counter)
  assert.equal(window.isNew(0), false)
})
