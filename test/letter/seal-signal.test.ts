import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Endpoint } from '../../src/base/endpoint.ts'
import { type Signal, signalLimits } from '../../src/base/signaling-message.ts'
import { encodeCbor } from '../../src/letter/cbor.ts'
import { limits } from '../../src/letter/limits.ts'
import { openSignal, type SignalKeys, sealSignal, signalTag } from '../../src/letter/seal-signal.ts'
import { seededCrypto } from '../harness/seeded-crypto.ts'
import * as some from './arbitraries.ts'

const crypto = seededCrypto(5)
const tag = crypto.randomBytes(8)
const [one, other] = [crypto.randomBytes(32), crypto.randomBytes(32)]
const mine: SignalKeys = { tag, sendKey: one, receiveKey: other }
const theirs: SignalKeys = { tag, sendKey: other, receiveKey: one }

const port = fc.integer({ min: 1, max: 65_535 })
const round = fc.nat({ max: signalLimits.rounds - 1 })
const address = some.endpoint.map((made: Endpoint) => made.address)
const range = fc
  .tuple(port, port, port)
  .map(([a, b, step]) => ({ first: Math.min(a, b), last: Math.max(a, b), step }))
const plainly = { noNullPrototype: true } as const

const signal: fc.Arbitrary<Signal> = fc.oneof(
  fc.record(
    {
      type: fc.constant('ports' as const),
      round,
      address,
      towards: some.endpoint,
      ranges: fc.array(range, { maxLength: signalLimits.ranges }),
    },
    plainly,
  ),
  fc.record(
    {
      type: fc.constant('targets' as const),
      round,
      address,
      ports: fc.array(port, { maxLength: signalLimits.targets }),
    },
    plainly,
  ),
  fc.record(
    {
      type: fc.constant('pairs' as const),
      round,
      address,
      pairs: fc.array(fc.record({ mine: port, yours: port }, plainly), { maxLength: signalLimits.pairs }),
    },
    plainly,
  ),
  fc.record(
    { type: fc.constant('search' as const), round, startAt: fc.nat({ max: limits.instantMs }) },
    plainly,
  ),
)

test('the peer of this attempt opens the signal, and it fits into a letter', () => {
  fc.assert(
    fc.property(signal, (sent) => {
      const box = sealSignal(crypto, mine, sent)
      assert.ok(box.length <= limits.signalBoxBytes)
      assert.deepEqual(signalTag(box), tag)
      assert.deepEqual(openSignal(crypto, theirs, box), sent)
    }),
  )
})

test('a box with one port is as long as a box with a few dozen', () => {
  const of = (count: number) =>
    sealSignal(crypto, mine, {
      type: 'targets',
      round: 0,
      address: '11.0.0.1',
      ports: Array.from({ length: count }, (_, index) => 40_000 + index),
    }).length
  assert.equal(of(1), of(64))
})

test('our own signal does not open as if it were the peer’s', () => {
  const box = sealSignal(crypto, mine, { type: 'search', round: 0, startAt: 5 })
  assert.equal(openSignal(crypto, mine, box), null)
})

test('a signal of another attempt does not open, even under the same keys', () => {
  const box = sealSignal(crypto, mine, { type: 'search', round: 0, startAt: 5 })
  assert.equal(openSignal(crypto, { ...theirs, tag: crypto.randomBytes(8) }, box), null)
})

test('no changed box opens, and random bytes never throw', () => {
  const box = sealSignal(crypto, mine, { type: 'search', round: 1, startAt: 5 })
  fc.assert(
    fc.property(fc.nat({ max: box.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const altered = box.slice()
      altered[at] = (altered[at] as number) ^ flip
      assert.equal(openSignal(crypto, theirs, altered), null)
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 700 }), (bytes) => {
      assert.equal(openSignal(crypto, theirs, bytes), null)
    }),
  )
})

function openForged(wire: unknown): Signal | null {
  const nonce = crypto.randomBytes(24)
  const padded = crypto.pad(encodeCbor(wire), 512)
  const sealed = crypto.encrypt(one, nonce, padded, tag)
  return openSignal(crypto, theirs, Uint8Array.from([...tag, ...nonce, ...sealed]))
}

const valid = { type: 'targets', round: 0, address: Uint8Array.of(11, 0, 0, 1), ports: [7] }

const invalid: Record<string, unknown> = {
  'an unknown type': { ...valid, type: 'else' },
  'port 0': { ...valid, ports: [0] },
  'port 65536': { ...valid, ports: [65_536] },
  'a list that is too long': { ...valid, ports: Array.from({ length: 65 }, () => 7) },
  'an address of five bytes': { ...valid, address: Uint8Array.of(1, 2, 3, 4, 5) },
  'an IPv4 address in IPv6 form': {
    ...valid,
    address: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 11, 0, 0, 1),
  },
  'a round beyond the last': { ...valid, round: signalLimits.rounds },
  'a range that ends before it begins': {
    type: 'ports',
    round: 0,
    address: valid.address,
    towards: Uint8Array.of(11, 0, 0, 2, 0, 9),
    ranges: [[9, 8, 1]],
  },
  'a step of 0': {
    type: 'ports',
    round: 0,
    address: valid.address,
    towards: Uint8Array.of(11, 0, 0, 2, 0, 9),
    ranges: [[8, 9, 0]],
  },
  'a pair of three': { type: 'pairs', round: 0, address: valid.address, pairs: [[1, 2, 3]] },
  'an instant beyond all dates': { type: 'search', round: 0, startAt: limits.instantMs + 1 },
  'a number instead of a map': 5,
}

for (const [name, wire] of Object.entries(invalid)) {
  test(`a genuine box with ${name} does not open`, () => assert.equal(openForged(wire), null))
}

test('an unknown field is dropped', () => {
  const { address: _, ...rest } = valid
  assert.deepEqual(openForged({ ...valid, later: 1 }), { ...rest, address: '11.0.0.1' })
})
