import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Endpoint } from '../../src/base/endpoint.ts'
import {
  defaultRateLimits,
  type RateLimits,
  ResponseRateLimit,
} from '../../src/stun-server/response-rate-limit.ts'
import { maxAnswerBytes } from '../harness/stun-answer.ts'

const wide = { burst: 1_000_000, perSecond: 1_000_000 }
const limits: RateLimits = { source: { burst: 5, perSecond: 2 }, total: wide, sources: 100 }
const anna = { address: '192.0.2.1', port: 1000 }
const ben = { address: '192.0.2.2', port: 1000 }

/** How many of `count` questions at `now` are answered. */
function granted(limit: ResponseRateLimit, now: number, count: number, ...sources: Endpoint[]): number {
  let sum = 0
  for (let i = 0; i < count; i++) {
    for (const source of sources) if (limit.take(now, source)) sum++
  }
  return sum
}

test('a source gets its burst at once, then as much as flows in, and after a rest the burst again', () => {
  const limit = new ResponseRateLimit(limits)
  assert.equal(granted(limit, 0, 50, anna), 5)
  assert.equal(granted(limit, 499, 50, anna), 0)
  assert.equal(granted(limit, 500, 50, anna), 1)
  assert.equal(granted(limit, 1500, 50, anna), 2)
  assert.equal(granted(limit, 1e9, 50, anna), 5)
})

test('one source that asks too much takes nothing from another', () => {
  const limit = new ResponseRateLimit(limits)
  granted(limit, 0, 50, anna)
  assert.equal(granted(limit, 0, 50, ben), 5)
})

test('other ports of an IPv4 address, and other addresses of an IPv6 /64, are the same source', () => {
  const limit = new ResponseRateLimit(limits)
  assert.equal(granted(limit, 0, 50, anna, { ...anna, port: 2000 }), 5)
  const six = (address: string) => ({ address, port: 1 })
  assert.equal(granted(limit, 0, 50, six('2001:db8:1:2::1'), six('2001:db8:1:2:ffff::9')), 5)
  assert.equal(granted(limit, 0, 50, six('2001:db8:1:3::1')), 5)
})

test('all together get no more than the total, and a refused one loses nothing of its own', () => {
  const limit = new ResponseRateLimit({ ...limits, total: { burst: 7, perSecond: 1000 } })
  assert.equal(granted(limit, 0, 5, anna), 5)
  assert.equal(granted(limit, 0, 5, ben), 2)
  assert.equal(granted(limit, 100, 5, ben), 3)
})

test('the table of sources stays within its bound whoever asks, and the total holds', () => {
  const limit = new ResponseRateLimit({ ...limits, sources: 50, total: { burst: 1000, perSecond: 1000 } })
  let answered = 0
  for (let i = 0; i < 5000; i++) {
    if (limit.take(i / 10, { address: `10.1.${i >> 8}.${i & 255}`, port: 1 })) answered++
    assert.ok(limit.sources <= 50)
  }
  // 0.5 s went by.
  assert.ok(answered <= 1500, String(answered))
})

test('a flooded source is not forgotten, however many others ask', () => {
  const limit = new ResponseRateLimit({ ...limits, sources: 10 })
  let answered = 0
  for (let i = 0; i < 2000; i++) {
    if (limit.take(0, anna)) answered++
    limit.take(0, { address: `10.1.${i >> 8}.${i & 255}`, port: 1 })
  }
  assert.equal(answered, 5)
})

test('whatever the times, no window of time holds more answers to a source than burst and inflow', () => {
  const rates = fc.record({
    burst: fc.integer({ min: 1, max: 20 }),
    perSecond: fc.integer({ min: 1, max: 100 }),
  })
  fc.assert(
    fc.property(
      rates,
      fc.array(fc.double({ min: 0, max: 400, noNaN: true }), { minLength: 1, maxLength: 120 }),
      (source, gaps) => {
        const limit = new ResponseRateLimit({ source, total: wide, sources: 10 })
        const answers: number[] = []
        let now = 0
        for (const gap of gaps) {
          now += gap
          if (limit.take(now, anna)) answers.push(now)
        }
        assert.ok(answers.length >= Math.min(gaps.length, source.burst))
        for (const [first, start] of answers.entries()) {
          for (let last = first; last < answers.length; last++) {
            const windowMs = (answers[last] as number) - start
            const most = source.burst + (windowMs * source.perSecond) / 1000
            assert.ok(last - first + 1 <= most + 0.01, `${last - first + 1} in ${windowMs} ms`)
          }
        }
      },
    ),
  )
})

test('the defaults let an agent search ports, and send no stranger more than 6 kB a second', () => {
  const limit = new ResponseRateLimit()
  // A hundred samples a second for five seconds.
  let refused = 0
  for (let i = 0; i < 500; i++) if (!limit.take(i * 10, anna)) refused++
  assert.equal(refused, 0)
  assert.ok(defaultRateLimits.source.perSecond * maxAnswerBytes <= 6000)
})

test('the documentation states the limits as they are', () => {
  const { source, total, sources } = defaultRateLimits
  const perSource = `${source.burst} answers at once and ${source.perSecond} a second`
  for (const file of ['docs/security.md', 'docs/address-server.md']) {
    const text = readFileSync(file, 'utf8')
    assert.ok(text.includes(perSource), file)
    assert.ok(text.includes(`all together ${total.perSecond.toLocaleString('en')} a second`), file)
  }
  assert.ok(readFileSync('docs/security.md', 'utf8').includes(`${sources.toLocaleString('en')} entries`))
})
