import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  fragmentHeaderBytes,
  maxFragments,
  maxPartialBytes,
  maxPartialDatagrams,
  partialMs,
  Reassembly,
  splitDatagram,
} from '../../src/link/fragments.ts'
import { maxDatagramBytes } from '../../src/link/packet-codec.ts'

const smallestBody = 1166

function bytesOf(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + seed) & 0xff)
}

test('a datagram of any size, its fragments in any order, is reassembled once and unchanged', () => {
  const cases = fc.tuple(
    fc.integer({ min: 1439, max: maxDatagramBytes }),
    fc.integer({ min: smallestBody, max: 1438 }),
    fc.infiniteStream(fc.nat(1_000_000)),
  )
  fc.assert(
    fc.property(cases, ([length, body, order]) => {
      const bytes = bytesOf(length, body)
      const fragments = splitDatagram(7, bytes, body).map((fragment) => ({
        fragment,
        order: order.next().value as number,
      }))
      assert.ok(fragments.length <= maxFragments)
      for (const { fragment } of fragments) assert.ok(fragment.length <= body)
      const reassembly = new Reassembly()
      const received = fragments
        .sort((a, b) => a.order - b.order)
        .map(({ fragment }) => reassembly.take(0, fragment))
      assert.deepEqual(received.pop(), bytes)
      assert.ok(received.every((whole) => whole === null))
      assert.equal(reassembly.heldBytes, 0)
    }),
    { numRuns: 60 },
  )
})

test('several datagrams can be in transit at once, and a lost fragment loses only its own datagram', () => {
  const reassembly = new Reassembly()
  const [first, second] = [bytesOf(5_000, 1), bytesOf(5_000, 2)]
  const [a, b] = [splitDatagram(1, first, smallestBody), splitDatagram(2, second, smallestBody)]
  const received: Uint8Array[] = []
  a.forEach((fragment, index) => {
    for (const each of index === 0 ? [b[0]] : [fragment, b[index]]) {
      const whole = reassembly.take(0, each as Uint8Array)
      if (whole) received.push(whole)
    }
  })
  assert.deepEqual(received, [second])
  assert.ok(reassembly.heldBytes > 0)
  reassembly.expire(partialMs)
  assert.equal(reassembly.heldBytes, 0)
  assert.equal(reassembly.take(partialMs, a[0] as Uint8Array), null, 'a late fragment starts a new datagram')
})

test('any input keeps the held bytes within the bounds', () => {
  const bodies = fc.array(
    fc.tuple(fc.nat(80), fc.nat(70), fc.nat(70), fc.integer({ min: 0, max: 1_438 }), fc.nat(200)),
    { maxLength: 1_500, size: 'max' },
  )
  fc.assert(
    fc.property(bodies, (steps) => {
      const reassembly = new Reassembly()
      let now = 0
      for (const [number, index, count, length, waitMs] of steps) {
        now += waitMs === 200 ? waitMs : 0
        const body = new Uint8Array(fragmentHeaderBytes + length)
        body.set([0, 0, 0, number, index, count])
        const whole = reassembly.take(now, body)
        assert.ok(whole === null || whole.length <= maxDatagramBytes)
        assert.ok(reassembly.heldBytes <= maxPartialBytes)
      }
      reassembly.expire(now + partialMs)
      assert.equal(reassembly.heldBytes, 0)
    }),
    { numRuns: 40 },
  )
})

test('of too many incomplete datagrams the oldest is dropped', () => {
  const reassembly = new Reassembly()
  const begun = Array.from({ length: maxPartialDatagrams + 1 }, (_, number) =>
    splitDatagram(number, bytesOf(2_000), smallestBody),
  )
  for (const [first] of begun) assert.equal(reassembly.take(0, first as Uint8Array), null)
  assert.equal(reassembly.take(0, begun[0]?.[1] as Uint8Array), null)
  assert.deepEqual(reassembly.take(0, begun.at(-1)?.[1] as Uint8Array), bytesOf(2_000))
})

test('malformed fragments are ignored: too short, wrong index, changed count, more than a datagram may hold', () => {
  const reassembly = new Reassembly()
  const fragment = (index: number, count: number, length = 1) =>
    Uint8Array.of(0, 0, 0, 1, index, count, ...new Uint8Array(length))
  for (const bad of [
    fragment(0, 0),
    fragment(0, 1),
    fragment(2, 2),
    fragment(0, maxFragments + 1),
    fragment(0, 2, 0),
    Uint8Array.of(1),
  ])
    assert.equal(reassembly.take(0, bad), null)
  assert.equal(reassembly.heldBytes, 0)
  assert.equal(reassembly.take(0, fragment(0, 2)), null)
  assert.equal(reassembly.take(0, fragment(1, 3)), null)
  assert.equal(reassembly.take(0, fragment(0, 2)), null)
  assert.equal(reassembly.heldBytes, 1)
  assert.deepEqual(reassembly.take(0, fragment(1, 2)), new Uint8Array(2))
  for (let index = 0; index < 64; index++) assert.equal(reassembly.take(0, fragment(index, 64, 1_100)), null)
  assert.ok(reassembly.heldBytes <= 64 * 1_100)
})
