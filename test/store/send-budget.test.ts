import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SendBudget } from '../../src/store/send-budget.ts'
import { openMemory } from './entries.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const start = 1_000 * dayMs + 12_345

test('no 24 hours have more mails than the budget, and the time of the next mail is right', () => {
  const pauses = fc.array(fc.integer({ min: 0, max: 3 * hourMs }), { minLength: 1, maxLength: 120 })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), pauses, (perDay, pauses) => {
      const database = openMemory()
      const budget = new SendBudget(database, { perDay })
      const sent: number[] = []
      let now = start
      for (const pause of pauses) {
        now += pause
        if (budget.left('urgent', now) > 0) {
          budget.count(1, now)
          sent.push(now)
        } else {
          const freeAt = budget.freeAt('urgent', now)
          assert.ok(freeAt > now && freeAt <= now + dayMs + hourMs)
          assert.equal(budget.left('urgent', freeAt - 1), 0)
          assert.ok(budget.left('urgent', freeAt) > 0)
        }
        assert.ok(sent.filter((at) => at > now - dayMs).length <= perDay)
      }
      database.close()
    }),
    { numRuns: 200 },
  )
})

test('mails that are not urgent stop at three quarters of the budget', () => {
  const budget = new SendBudget(openMemory(), { perDay: 8 })
  const states = Array.from({ length: 9 }, () => {
    const state = budget.state(start)
    budget.count(1, start)
    return state
  })
  assert.deepEqual(states, [
    ...Array.from({ length: 6 }, () => 'ample'),
    'replies-only',
    'replies-only',
    'used-up',
  ])
  assert.equal(budget.left('normal', start), 0)
})

test('without a budget mails are counted all the same, so a new budget works at once', () => {
  const database = openMemory()
  const none = new SendBudget(database, { perDay: 0 })
  none.count(5, start)
  assert.deepEqual([none.left('urgent', start), none.state(start), none.sent(start)], [Infinity, 'ample', 5])
  assert.equal(new SendBudget(database, { perDay: 6 }).left('urgent', start), 1)
})

test('mails counted in a failed transaction do not count', () => {
  const database = openMemory()
  const budget = new SendBudget(database, { perDay: 6 })
  const failing = () => {
    budget.count(5, start)
    throw new Error('undone')
  }
  assert.throws(() => database.transaction(failing), /undone/)
  assert.equal(budget.sent(start), 0)
})

test('after the clock was set back mails sent later count as sent now', () => {
  const budget = new SendBudget(openMemory(), { perDay: 6 })
  budget.count(4, start + 400 * dayMs)
  budget.count(1, start)
  budget.clampFuture(start)
  budget.clampFuture(start)
  assert.equal(budget.sent(start), 5)
  assert.equal(budget.sent(start + 2 * dayMs), 0)
})
