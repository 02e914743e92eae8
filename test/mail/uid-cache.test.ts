import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { UidLedger } from '../../src/mail/imap/uid-cache.ts'

const none = () => false

test('the oldest come first, those in hand are passed over, those gone do not come back', () => {
  const ledger = new UidLedger()
  ledger.noteFullScan([9, 3, 5], 20)
  assert.deepEqual(ledger.next(2, none), [3, 5])
  assert.deepEqual(
    ledger.next(2, (uid) => uid === 3),
    [5, 9],
  )
  ledger.noteGone([3])
  ledger.noteForeign(5)
  assert.deepEqual(ledger.next(9, none), [9])
  ledger.noteFullScan([5, 9], 20)
  assert.deepEqual(ledger.next(9, none), [9], 'a foreign mail is not looked at again')
  assert.equal(ledger.scanFrom, 21)
})

test('the last mail, which n:* answers with when nothing is new, is not taken twice', () => {
  const ledger = new UidLedger()
  ledger.noteFullScan([7], 0)
  ledger.noteGone([7])
  ledger.noteNew([7])
  assert.deepEqual(ledger.next(9, none), [])
})

test('another UIDVALIDITY forgets everything', () => {
  const ledger = new UidLedger()
  ledger.useValidity('1')
  ledger.noteFullScan([7, 8], 8)
  ledger.noteForeign(8)
  ledger.useValidity('1')
  assert.equal(ledger.waiting, 1)
  ledger.useValidity('2')
  assert.deepEqual([ledger.waiting, ledger.scanFrom], [0, 1])
  ledger.noteFullScan([8], 8)
  assert.deepEqual(ledger.next(9, none), [8])
})

test('whatever the bounds, everything is handed out once, in order', () => {
  const uids = fc.uniqueArray(fc.integer({ min: 1, max: 500 }), { maxLength: 100 })
  fc.assert(
    fc.property(
      uids,
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 7 }),
      (all, bound, batch) => {
        const ledger = new UidLedger(undefined, { waiting: bound, foreign: 5 })
        const seen: number[] = []
        ledger.noteFullScan(all, 0)
        for (;;) {
          assert.ok(ledger.waiting <= bound)
          const next = ledger.next(batch, none)
          if (next.length === 0 && !ledger.truncated) break
          seen.push(...next)
          ledger.noteGone(next)
          if (ledger.waiting === 0 && ledger.truncated) ledger.noteNew(all)
        }
        assert.deepEqual(
          seen,
          all.toSorted((a, b) => a - b),
        )
      },
    ),
  )
})

test('where the newest may come first a folder with more than are kept loses none, and hides none that comes meanwhile', () => {
  const counts = fc.tuple(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 2, max: 400 }))
  fc.assert(
    fc.property(counts, fc.integer({ min: 1, max: 60 }), ([count, bound], batch) => {
      const ledger = new UidLedger(() => true, { waiting: bound, foreign: 5 })
      const folder = new Set(Array.from({ length: count }, (_, index) => index + 1))
      let last = count
      ledger.noteFullScan([...folder], last)
      const taken: number[] = []
      while (folder.size > 0) {
        assert.ok(ledger.waiting <= bound)
        if (ledger.needsFullScan) ledger.noteFullScan([...folder], last)
        const next = ledger.next(batch, none)
        assert.ok(next.length > 0)
        for (const uid of next) folder.delete(uid)
        ledger.noteGone(next)
        taken.push(...next)
        if (taken.length % 7 === 0 && last < count + 20) {
          folder.add(++last)
          ledger.noteNew([last])
          assert.ok(ledger.next(bound, none).includes(last))
        }
      }
      assert.deepEqual(
        taken.toSorted((a, b) => a - b),
        Array.from({ length: last }, (_, index) => index + 1),
      )
    }),
  )
})
