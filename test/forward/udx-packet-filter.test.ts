import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { UdxPacket } from '../../src/forward/streams/stream-frame.ts'
import { udxTypes } from '../../src/forward/streams/udx-packet.ts'
import { UdxPacketFilter } from '../../src/forward/streams/udx-packet-filter.ts'

/** First sequence numbers of both sides, just below the wrap-around. */
const own = 0xfffffff0
const peer = 0xffffff00
const kibibyte = 1024

const at = (first: number, index: number) => (first + index) >>> 0

function packet(type: number, changes: Partial<UdxPacket> = {}): UdxPacket {
  return { type, padding: 0, seq: peer, ack: own, payload: new Uint8Array(0), ...changes }
}
const data = (index: number, length = 100) =>
  packet(udxTypes.data, { seq: at(peer, index), payload: new Uint8Array(length) })
const state = (changes: Partial<UdxPacket> = {}) => packet(udxTypes.state, changes)

function makeFilter(bytes = 64 * kibibyte): UdxPacketFilter {
  return new UdxPacketFilter(own, peer, () => bytes)
}

/** Our own packet that acknowledges the first `count` of the peer's. */
function acknowledge(filter: UdxPacketFilter, count: number): void {
  filter.noteSent(packet(udxTypes.state, { seq: own, ack: at(peer, count) }))
}

function ranges(...pairs: (readonly [number, number])[]): UdxPacket {
  const payload = new Uint8Array(pairs.length * 8)
  const view = new DataView(payload.buffer)
  pairs.forEach(([from, to], index) => {
    view.setUint32(index * 8, at(own, from), true)
    view.setUint32(index * 8 + 4, at(own, to), true)
  })
  return packet(udxTypes.selective, { payload })
}

test('data in order is accepted, also when sequence numbers wrap around', () => {
  const filter = makeFilter(kibibyte)
  for (let index = 0; index < 10_000; index++) {
    assert.ok(filter.accepts(data(index)), String(index))
    acknowledge(filter, index + 1)
  }
})

test('data ahead of a gap is accepted up to the limit, the missing packet always, and then more data', () => {
  const filter = makeFilter(1_000)
  for (let index = 1; index <= 10; index++) assert.ok(filter.accepts(data(index)))
  assert.ok(!filter.accepts(data(11)))
  assert.ok(filter.accepts(data(5)), 'a copy takes no more room')
  assert.ok(filter.accepts(data(0)))
  acknowledge(filter, 11)
  for (let index = 11; index <= 20; index++) assert.ok(filter.accepts(data(index)))
})

test('a packet far ahead is dropped', () => {
  const filter = makeFilter(2 ** 30)
  for (const index of [4096, 65_536, 2 ** 28, 2 ** 30, 2 ** 31]) assert.ok(!filter.accepts(data(index)))
  assert.ok(filter.accepts(data(4095)))
})

test('acknowledgements of packets never sent and invalid ranges are dropped', () => {
  const filter = makeFilter()
  assert.ok(filter.accepts(state()))
  assert.ok(!filter.accepts(state({ ack: at(own, 1) })))
  for (let index = 0; index < 20; index++)
    filter.noteSent(packet(udxTypes.data, { seq: at(own, index), ack: peer }))
  assert.ok(filter.accepts(state({ ack: at(own, 20) })))
  assert.ok(!filter.accepts(state({ ack: at(own, 21) })))
  assert.ok(filter.accepts(ranges([1, 3], [5, 20])))
  for (const bad of [
    ranges([1, 21]),
    ranges([3, 3]),
    ranges([5, 7], [1, 2]),
    ranges([1, 2 ** 31]),
    ranges([-5, 2]),
  ])
    assert.ok(!filter.accepts(bad))
  assert.ok(!filter.accepts(packet(udxTypes.selective, { payload: new Uint8Array(7) })))
  assert.ok(!filter.accepts(ranges(...Array.from({ length: 65 }, (_, i) => [i, i + 1] as const))))
})

test('other types, misplaced padding and empty data are dropped', () => {
  const filter = makeFilter()
  for (const type of [2, 3, 5, 8, 16, 32, 128, 255]) assert.ok(!filter.accepts(packet(type)), String(type))
  assert.ok(!filter.accepts(data(0, 0)))
  assert.ok(!filter.accepts({ ...data(0, 10), padding: 10 }))
  assert.ok(!filter.accepts(state({ padding: 1 })))
  assert.ok(!filter.accepts(state({ payload: new Uint8Array(1) })))
})

test('for any packets, the accepted unacknowledged bytes stay within the limit', () => {
  const steps = fc.array(
    fc.record({ index: fc.integer({ min: -20, max: 5_000 }), length: fc.integer({ min: 1, max: 1_400 }) }),
    { maxLength: 400, size: 'max' },
  )
  const check = (tried: { index: number; length: number }[]) => {
    const bound = 20_000
    const filter = new UdxPacketFilter(own, peer, () => bound)
    const pending = new Map<number, number>()
    let acknowledged = 0
    for (const { index, length } of tried) {
      if (!filter.accepts(data(index, length))) continue
      if (index >= acknowledged && !pending.has(index)) pending.set(index, length)
      while (pending.delete(acknowledged)) acknowledged++
      acknowledge(filter, acknowledged)
      let bytes = 0
      for (const size of pending.values()) bytes += size
      assert.ok(bytes <= bound)
      assert.ok(Math.max(acknowledged, ...pending.keys()) - acknowledged < 4096)
    }
  }
  fc.assert(fc.property(steps, check), { numRuns: 60 })
})
