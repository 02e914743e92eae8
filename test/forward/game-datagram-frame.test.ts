import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toHex, utf8 } from '../../src/base/bytes.ts'
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  maxPayloadBytes,
} from '../../src/forward/udp/game-datagram-frame.ts'

const golden: readonly (readonly [Frame, string])[] = [
  [{ kind: 'to-game', port: 27015, flow: 1, payload: utf8('hi') }, '01698700016869'],
  [{ kind: 'from-game', port: 65535, flow: 65535, payload: utf8('') }, '02ffffffff'],
  [{ kind: 'to-game', port: 1, flow: 0, payload: Uint8Array.of(0) }, '010001000000'],
]

test('frames have the documented layout', () => {
  for (const [frame, hex] of golden) {
    assert.equal(toHex(encodeFrame(frame)), hex)
    assert.deepEqual(decodeFrame(encodeFrame(frame)), frame)
  }
})

test('decoding what was encoded gives the same frame', () => {
  const frames = fc.record(
    {
      kind: fc.constantFrom('to-game' as const, 'from-game' as const),
      port: fc.integer({ min: 1, max: 65535 }),
      flow: fc.nat(65535),
      payload: fc.uint8Array({ maxLength: maxPayloadBytes }),
    },
    { noNullPrototype: true },
  )
  fc.assert(fc.property(frames, (frame) => assert.deepEqual(decodeFrame(encodeFrame(frame)), frame)))
})

test('invalid frames are rejected: too short, too long, port 0, another kind', () => {
  const tooLong = new Uint8Array(maxPayloadBytes + 6).fill(1)
  for (const bytes of [[], [1, 0, 1, 0], [1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [3, 0, 1, 0, 0]])
    assert.equal(decodeFrame(Uint8Array.from(bytes)), null)
  assert.equal(decodeFrame(tooLong), null)
})

test('any bytes give a frame that encodes to the same bytes, or nothing', () => {
  const check = (bytes: Uint8Array) => {
    const frame = decodeFrame(bytes)
    if (frame) assert.deepEqual(encodeFrame(frame), bytes)
  }
  const begun = fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 30 }))
  fc.assert(fc.property(fc.uint8Array({ maxLength: 30 }), check))
  fc.assert(fc.property(begun, ([kind, rest]) => check(Uint8Array.of(kind, ...rest))))
})
