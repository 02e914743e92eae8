import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes } from '../../src/base/bytes.ts'
import { framePacket, maxFramedBytes, PacketReader } from '../../src/link/tcp-framing.ts'

const packet = fc.uint8Array({ minLength: 1, maxLength: maxFramedBytes })

/** The bytes in chunks, cut at these fractions of their length. */
function chunks(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const bounds = [0, ...cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b), bytes.length]
  return bounds.slice(1).map((end, index) => bytes.subarray(bounds[index], end))
}

test('packets are read as they were framed, wherever the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(packet, { maxLength: 8 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }),
      (packets, cuts) => {
        const reader = new PacketReader()
        const stream = concatBytes(...packets.map(framePacket))
        const read = chunks(stream, cuts).flatMap((chunk) => {
          const complete = reader.push(chunk)
          assert.ok(complete)
          return complete
        })
        assert.deepEqual(read, packets)
      },
    ),
  )
})

test('a framed packet has the documented byte layout', () => {
  assert.deepEqual(framePacket(Uint8Array.of(7, 8, 9)), Uint8Array.of(0, 3, 7, 8, 9))
})

test('with any input no packet is empty or too long, and after a wrong length no packet is read', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 4_000 }), { maxLength: 8 }), (stream) => {
      const reader = new PacketReader()
      let hasFailed = false
      for (const chunk of stream) {
        const packets = reader.push(chunk)
        assert.ok(!hasFailed || packets === null)
        hasFailed = packets === null
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
