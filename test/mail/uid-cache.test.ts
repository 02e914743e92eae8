import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { UidCache } from '../../src/mail/imap/uid-cache.ts'

const none = () => false

test('the oldest come first, held ones are skipped, and removed ones do not return', () => {
  const uidCache = new UidCache()
  uidCache.noteFullScan([9, 3, 5], 20)
  assert.deepEqual(uidCache.next(2, none), [3, 5])
  assert.deepEqual(
    uidCache.next(2, (uid) => uid === 3),
    [5, 9],
  )
  uidCache.noteGone([3])
  uidCache.noteForeign(5)
  assert.deepEqual(uidCache.next(9, none), [9])
  uidCache.noteFullScan([5, 9], 20)
  assert.deepEqual(uidCache.next(9, none), [9], 'a foreign mail is not read again')
  assert.equal(uidCache.scanFrom, 21)
})

test('the last mail, which n:* finds when nothing is new, is not used twice', () => {
  const uidCache = new UidCache()
  uidCache.noteFullScan([7], 0)
  uidCache.noteGone([7])
  uidCache.noteNew([7])
  assert.deepEqual(uidCache.next(9, none), [])
})

test('another UIDVALIDITY empties the cache', () => {
  const uidCache = new UidCache()
  uidCache.useValidity('1')
  uidCache.noteFullScan([7, 8], 8)
  uidCache.noteForeign(8)
  uidCache.useValidity('1')
  assert.equal(uidCache.waiting, 1)
  uidCache.useValidity('2')
  assert.deepEqual([uidCache.waiting, uidCache.scanFrom], [0, 1])
  uidCache.noteFullScan([8], 8)
  assert.deepEqual(uidCache.next(9, none), [8])
})

test('with any limits each UID is returned once, in order', () => {
  const uids = fc.uniqueArray(fc.integer({ min: 1, max: 500 }), { maxLength: 100 })
  fc.assert(
    fc.property(
      uids,
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 7 }),
      (all, bound, batch) => {
        const uidCache = new UidCache(undefined, { waiting: bound, foreign: 5 })
        const seen: number[] = []
        uidCache.noteFullScan(all, 0)
        for (;;) {
          assert.ok(uidCache.waiting <= bound)
          const next = uidCache.next(batch, none)
          if (next.length === 0 && !uidCache.truncated) break
          seen.push(...next)
          uidCache.noteGone(next)
          if (uidCache.waiting === 0 && uidCache.truncated) uidCache.noteNew(all)
        }
        assert.deepEqual(
          seen,
          all.toSorted((a, b) => a - b),
        )
      },
    ),
  )
})

test('if the newest may come first, a folder larger than the limit loses no UID and shows new ones at once', () => {
  const counts = fc.tuple(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 2, max: 400 }))
  fc.assert(
    fc.property(counts, fc.integer({ min: 1, max: 60 }), ([count, bound], batch) => {
      const uidCache = new UidCache(() => true, { waiting: bound, foreign: 5 })
      const folder = new Set(Array.from({ length: count }, (_, index) => index + 1))
      let last = count
      uidCache.noteFullScan([...folder], last)
      const taken: number[] = []
      while (folder.size > 0) {
        assert.ok(uidCache.waiting <= bound)
        if (uidCache.needsFullScan) uidCache.noteFullScan([...folder], last)
        const next = uidCache.next(batch, none)
        assert.ok(next.length > 0)
        for (const uid of next) folder.delete(uid)
        uidCache.noteGone(next)
        taken.push(...next)
        if (taken.length % 7 === 0 && last < count + 20) {
          folder.add(++last)
          uidCache.noteNew([last])
          assert.ok(uidCache.next(bound, none).includes(last))
        }
      }
      assert.deepEqual(
        taken.toSorted((a, b) => a - b),
        Array.from({ length: last }, (_, index) => index + 1),
      )
    }),
  )
})
