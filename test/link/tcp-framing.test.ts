import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes } from '../../src/base/bytes.ts'
import { framePacket, maxFramedBytes, PacketReader } from '../../src/link/tcp-framing.ts'

const packet = fc.uint8Array({ minLength: 1, maxLength: maxFramedBytes })

/** The bytes in pieces, cut where `cuts` says. */
function pieces(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b), bytes.length]
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end))
}

test('packets come out as they went in, wherever the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(packet, { maxLength: 8 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }),
      (packets, cuts) => {
        const reader = new PacketReader()
        const stream = concatBytes(...packets.map(framePacket))
        const read = pieces(stream, cuts).flatMap((piece) => {
          const whole = reader.push(piece)
          assert.ok(whole)
          return whole
        })
        assert.deepEqual(read, packets)
      },
    ),
  )
})

test('a packet is framed as drawn', () => {
  assert.deepEqual(framePacket(Uint8Array.of(7, 8, 9)), Uint8Array.of(0, 3, 7, 8, 9))
})

test('whatever comes, no packet is empty or too long, and after a wrong length none comes at all', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 4_000 }), { maxLength: 8 }), (chunks) => {
      const reader = new PacketReader()
      let isOver = false
      for (const chunk of chunks) {
        const packets = reader.push(chunk)
        assert.ok(!isOver || packets === null)
        isOver = packets === null
        for (const { length } of packets ?? []) assert.ok(length >= 1 && length <= maxFramedBytes)
      }
    }),
  )
  for (const head of [
    [0, 0],
    [(maxFramedBytes + 1) >> 8, (maxFramedBytes + 1) & 0xff],
    [0xff, 0xff],
  ]) {
    assert.equal(new PacketReader().push(Uint8Array.from(head)), null)
  }
})
