import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { UnreachableAddresses } from '../../src/store/unreachable-addresses.ts'
import { openMemory } from './entries.ts'

const settings = { firstMs: 100, lastMs: 400, rememberMs: 1_000, capacity: 3 }

test('the pause of an address grows with each bounce, and case does not matter', () => {
  const addresses = new UnreachableAddresses(openMemory(), settings)
  assert.equal(addresses.has('ann@mail.test', 0), false)
  assert.ok(addresses.note('Ann@mail.test', 10, 20))
  assert.ok(addresses.has('ann@MAIL.test', 119))
  assert.ok(!addresses.has('ann@mail.test', 120))
  const pauses: number[] = []
  let now = 120
  for (let bounce = 0; bounce < 4; bounce++) {
    assert.ok(addresses.note('ann@mail.test', now, now))
    let end = now
    while (addresses.has('ann@mail.test', end)) end += 10
    pauses.push(end - now)
    now = end
  }
  assert.deepEqual(pauses, [200, 400, 400, 400])
})

test('a mail counts once, however many bounces it has', () => {
  const addresses = new UnreachableAddresses(openMemory(), settings)
  assert.ok(addresses.note('ann@mail.test', 10, 20))
  assert.ok(!addresses.note('ann@mail.test', 10, 30))
  assert.ok(!addresses.note('ann@mail.test', 10, 500))
  assert.ok(!addresses.has('ann@mail.test', 120))
})

test('a bounce of a mail that is too old or from the future does not count', () => {
  const addresses = new UnreachableAddresses(openMemory(), settings)
  assert.ok(!addresses.note('ann@mail.test', 0, 1_001))
  assert.ok(!addresses.note('ann@mail.test', 5_000, 1_001))
  assert.equal(addresses.size, 0)
})

test('the table is bounded, old rows are deleted, and a clock set back makes no pause endless', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(9), fc.integer({ min: -3_000, max: 1_000 })), { maxLength: 60 }),
      (steps) => {
        const database = openMemory()
        const addresses = new UnreachableAddresses(database, settings)
        let now = 100_000
        for (const [index, byMs] of steps) {
          now += byMs
          addresses.clampFuture(now, 100)
          addresses.note(`a${index}@mail.test`, now, now)
          addresses.forget(now, 100)
          assert.ok(addresses.size <= settings.capacity)
          assert.ok(!addresses.has(`a${index}@mail.test`, now + settings.lastMs + 1))
        }
        addresses.forget(now + 2_000, 100)
        assert.equal(addresses.size, 0)
        database.close()
      },
    ),
    { numRuns: 50 },
  )
})

test('a marked address is still marked after a restart', () => {
  const database = openMemory()
  new UnreachableAddresses(database, settings).note('ann@mail.test', 10, 20)
  assert.ok(new UnreachableAddresses(database, settings).has('ann@mail.test', 30))
})
