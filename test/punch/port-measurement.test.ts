import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { portsOf } from '../../src/punch/port-arithmetic.ts'
import { PortBracket, type Sent } from '../../src/punch/tactics/port-measurement.ts'
import { seededRandom } from '../harness/seeded-crypto.ts'

const sample = (port: number | null): Sent => ({ type: 'sample', port })
const other: Sent = { type: 'other' }

test('a packet between two samples of a counter got the port between theirs', () => {
  const sent = [sample(4010), sample(4011), other, sample(4013), sample(4014)]
  assert.deepEqual(new PortBracket(sent, 1).at(2), { first: 4012, last: 4012, step: 1 })
  assert.deepEqual(new PortBracket(sent, 0).at(2), { first: 4012, last: 4012, step: 1 })
})

test('a counter that counts down is bracketed too', () => {
  const sent = [sample(4010), sample(4005), other, sample(3995), sample(3990)]
  for (const known of [-5, 0]) {
    assert.deepEqual(new PortBracket(sent, known).at(2), { first: 4000, last: 4000, step: 5 })
  }
})

test('another connection inside the bracket leaves two possible ports, and one outside adds none', () => {
  const within = [sample(4010), sample(4012), other, sample(4018), sample(4020)]
  assert.deepEqual(new PortBracket(within, 2).at(2), { first: 4014, last: 4016, step: 2 })
  const before = [sample(4006), sample(4012), other, sample(4016), sample(4018)]
  assert.deepEqual(new PortBracket(before, 2).at(2), { first: 4014, last: 4014, step: 2 })
})

test('the samples correct a known step that is too large', () => {
  const sent = [sample(4010), sample(4011), other, sample(4013), sample(4014)]
  assert.deepEqual(new PortBracket(sent, 4).at(2), { first: 4012, last: 4012, step: 1 })
})

test('several packets of one burst each get their own range', () => {
  const sent = [sample(10_000), other, sample(10_002), other, other, sample(10_005)]
  const bracket = new PortBracket(sent, 1)
  assert.deepEqual(
    [1, 3, 4].map((index) => bracket.at(index)?.first),
    [10_001, 10_003, 10_004],
  )
})

test('a server that lies or is silent spoils only its own samples', () => {
  const lies = [sample(61_000), sample(4015), other, sample(1), sample(4030)]
  assert.deepEqual(new PortBracket(lies, 5).at(2), { first: 4020, last: 4020, step: 5 })
  const silence = [sample(4010), sample(null), other, sample(null), sample(4014)]
  assert.deepEqual(new PortBracket(silence, 1).at(2), { first: 4012, last: 4012, step: 1 })
})

test('samples on one side only, in no order, or of a counter that wrapped give no range', () => {
  assert.equal(new PortBracket([sample(4010), sample(4011), other, sample(null)], 1).at(2), null)
  assert.equal(
    new PortBracket([sample(4010), sample(50_000), other, sample(30_000), sample(2_000)], 1).at(2),
    null,
  )
  assert.equal(
    new PortBracket([sample(65_534), sample(65_535), other, sample(1_025), sample(1_026)], 1).at(2),
    null,
  )
  assert.equal(new PortBracket([], 1).at(0), null)
})

test('a request lost before our NAT and repeated does not shift the range of a packet', () => {
  // The first copy of the second sample was lost, so its port is higher than all others.
  const sent = [sample(100), sample(104), other, sample(102), sample(103)]
  assert.equal(new PortBracket(sent, 1).at(2), null)
})

test('the position of the counter is the last sample that is consistent with another one', () => {
  assert.deepEqual(new PortBracket([sample(100), sample(102), sample(104)], 2).position, {
    port: 104,
    step: 2,
    sentAfter: 0,
  })
  assert.deepEqual(new PortBracket([sample(100), sample(102), sample(null)], 2).position, {
    port: 102,
    step: 2,
    sentAfter: 1,
  })
  assert.equal(new PortBracket([sample(100), sample(null), sample(null)], 2).position, null)
  assert.equal(new PortBracket([sample(100), sample(40_000), sample(9_000)], 1).position, null)
})

test('the range always contains the real port of a counter, and only that port without other connections', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 10_000, max: 50_000 }),
      fc.constantFrom(1, -1, 2, -2, 5, -16),
      fc.boolean(),
      fc.array(fc.constantFrom('sample', 'other'), { minLength: 1, maxLength: 12 }),
      fc.constantFrom(0, 0.2),
      fc.constantFrom(0, 0.3),
      fc.nat(10_000),
      (start, step, isKnown, layout, foreign, lost, seed) => {
        const random = seededRandom(seed)
        let counter = start
        const real: number[] = []
        const sent = layout.map((type): Sent => {
          while (random() < foreign) counter += step
          counter += step
          real.push(counter)
          return type === 'other' ? other : sample(random() < lost ? null : counter)
        })
        const bracket = new PortBracket(sent, isKnown ? step : 0)
        for (const [index, { type }] of sent.entries()) {
          if (type !== 'other') continue
          const range = bracket.at(index)
          // An unknown step can look like a multiple of itself when every gap happens to be one.
          if (!range || (!isKnown && range.step !== Math.abs(step))) continue
          assert.ok(portsOf([range], 100).includes(real[index] as number))
          if (foreign === 0) assert.equal(range.first, range.last)
        }
      },
    ),
    { numRuns: 500 },
  )
})

test('with any samples a bracket is a range of few ports or nothing', () => {
  const port = fc.option(fc.integer({ min: 1, max: 65535 }))
  fc.assert(
    fc.property(
      fc.array(port, { maxLength: 9 }),
      fc.integer({ min: -65535, max: 65535 }),
      fc.nat(9),
      (ports, step, index) => {
        const range = new PortBracket(ports.map(sample), step).at(index)
        if (!range) return
        assert.ok(range.first <= range.last && range.step > 0)
        assert.ok(portsOf([range], 100).length <= 33)
      },
    ),
  )
})
