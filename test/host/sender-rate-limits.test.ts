import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SenderLimits } from '../../src/host/requests/sender-rate-limits.ts'

const sender = { key: new Uint8Array(32), address: 'ann@mail.test' }

test('a sender over its limit gets a whole number of ms, after which the next letter is allowed', () => {
  const gaps = fc.array(fc.double({ min: 0, max: 120_000, noNaN: true }), { maxLength: 40 })
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e9, noNaN: true }),
      fc.integer({ min: 1, max: 30 }),
      gaps,
      (...all) => {
        const [start, perKey, waits] = all
        const limits = new SenderLimits(start, { perKey, perAddress: 0, perDomain: 0 })
        let now = start
        for (const wait of [...waits, ...Array<number>(perKey + 1).fill(0)]) {
          now += wait
          const againInMs = limits.take(now, sender)
          if (againInMs === null) continue
          assert.ok(Number.isInteger(againInMs) && againInMs > 0 && againInMs <= 3_600_001, String(againInMs))
          // Allows for the rounding of fractions of a ms.
          now += againInMs + 1
          assert.equal(limits.take(now, sender), null)
        }
      },
    ),
  )
})
