import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { UdxPacket } from '../../src/forward/streams/stream-frame.ts'
import { udxTypes } from '../../src/forward/streams/udx-packet.ts'
import { UdxPacketFilter } from '../../src/forward/streams/udx-packet-filter.ts'

/** Both count from just below the point where numbers wrap. */
const own = 0xfffffff0
const peer = 0xffffff00
const kibi = 1024

const at = (first: number, index: number) => (first + index) >>> 0

function packet(type: number, changes: Partial<UdxPacket> = {}): UdxPacket {
  return { type, padding: 0, seq: peer, ack: own, payload: new Uint8Array(0), ...changes }
}
const data = (index: number, length = 100) =>
  packet(udxTypes.data, { seq: at(peer, index), payload: new Uint8Array(length) })
const state = (changes: Partial<UdxPacket> = {}) => packet(udxTypes.state, changes)

function guard(bytes = 64 * kibi): UdxPacketFilter {
  return new UdxPacketFilter(own, peer, () => bytes)
}

/** Our own packet that acknowledges the first `count` of the peer's. */
function acknowledge(guarded: UdxPacketFilter, count: number): void {
  guarded.noteSent(packet(udxTypes.state, { seq: own, ack: at(peer, count) }))
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

test('data in order pass for ever, also when numbers wrap', () => {
  const guarded = guard(kibi)
  for (let index = 0; index < 10_000; index++) {
    assert.ok(guarded.accepts(data(index)), String(index))
    acknowledge(guarded, index + 1)
  }
})

test('data ahead of a gap pass up to the bytes allowed, the missing packet always, and then more again', () => {
  const guarded = guard(1_000)
  for (let index = 1; index <= 10; index++) assert.ok(guarded.accepts(data(index)))
  assert.ok(!guarded.accepts(data(11)))
  assert.ok(guarded.accepts(data(5)), 'a copy takes no more room')
  assert.ok(guarded.accepts(data(0)))
  acknowledge(guarded, 11)
  for (let index = 11; index <= 20; index++) assert.ok(guarded.accepts(data(index)))
})

test('a packet far ahead is dropped', () => {
  const guarded = guard(2 ** 30)
  for (const index of [4096, 65_536, 2 ** 28, 2 ** 30, 2 ** 31]) assert.ok(!guarded.accepts(data(index)))
  assert.ok(guarded.accepts(data(4095)))
})

test('acknowledgements of what was never sent are dropped, and so are ranges that are none', () => {
  const guarded = guard()
  assert.ok(guarded.accepts(state()))
  assert.ok(!guarded.accepts(state({ ack: at(own, 1) })))
  for (let index = 0; index < 20; index++)
    guarded.noteSent(packet(udxTypes.data, { seq: at(own, index), ack: peer }))
  assert.ok(guarded.accepts(state({ ack: at(own, 20) })))
  assert.ok(!guarded.accepts(state({ ack: at(own, 21) })))
  assert.ok(guarded.accepts(ranges([1, 3], [5, 20])))
  for (const bad of [
    ranges([1, 21]),
    ranges([3, 3]),
    ranges([5, 7], [1, 2]),
    ranges([1, 2 ** 31]),
    ranges([-5, 2]),
  ])
    assert.ok(!guarded.accepts(bad))
  assert.ok(!guarded.accepts(packet(udxTypes.selective, { payload: new Uint8Array(7) })))
  assert.ok(!guarded.accepts(ranges(...Array.from({ length: 65 }, (_, i) => [i, i + 1] as const))))
})

test('other types, padding out of place and data of no length are dropped', () => {
  const guarded = guard()
  for (const type of [2, 3, 5, 8, 16, 32, 128, 255]) assert.ok(!guarded.accepts(packet(type)), String(type))
  assert.ok(!guarded.accepts(data(0, 0)))
  assert.ok(!guarded.accepts({ ...data(0, 10), padding: 10 }))
  assert.ok(!guarded.accepts(state({ padding: 1 })))
  assert.ok(!guarded.accepts(state({ payload: new Uint8Array(1) })))
})

test('whatever comes, the bytes let in ahead of what is acknowledged stay within the bound', () => {
  const steps = fc.array(
    fc.record({ index: fc.integer({ min: -20, max: 5_000 }), length: fc.integer({ min: 1, max: 1_400 }) }),
    { maxLength: 400, size: 'max' },
  )
  const check = (tried: { index: number; length: number }[]) => {
    const bound = 20_000
    const guarded = new UdxPacketFilter(own, peer, () => bound)
    const held = new Map<number, number>()
    let acknowledged = 0
    for (const { index, length } of tried) {
      if (!guarded.accepts(data(index, length))) continue
      if (index >= acknowledged && !held.has(index)) held.set(index, length)
      while (held.delete(acknowledged)) acknowledged++
      acknowledge(guarded, acknowledged)
      let bytes = 0
      for (const size of held.values()) bytes += size
      assert.ok(bytes <= bound)
      assert.ok(Math.max(acknowledged, ...held.keys()) - acknowledged < 4096)
    }
  }
  fc.assert(fc.property(steps, check), { numRuns: 60 })
})
