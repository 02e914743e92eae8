import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toHex, utf8 } from '../../src/base/bytes.ts'
import {
  decodeStreamFrame,
  type EndReason,
  encodeStreamFrame,
  endReasons,
  isStreamFrame,
  type StreamFrame,
} from '../../src/forward/streams/stream-frame.ts'
import { readUdxPacket, UdxPacketWriter, udxTypes } from '../../src/forward/streams/udx-packet.ts'

const packet = { type: 1, padding: 0, seq: 0x01020304, ack: 5, payload: utf8('hi') }
const golden: readonly (readonly [StreamFrame, string])[] = [
  [{ kind: 'packet', towards: 'exposing', number: 9, packet }, '03000000090101020304000000056869'],
  [
    { kind: 'packet', towards: 'forwarding', number: 9, packet: { ...packet, padding: 2 } },
    '0400000009810201020304000000056869',
  ],
  [{ kind: 'open', number: 0xffffffff, port: 80, seq: 7 }, '05ffffffff005000000007'],
  [{ kind: 'open-named', number: 2, name: 'chat', seq: 7 }, '0a000000020000000763686174'],
  [{ kind: 'opened', number: 1, seq: 8 }, '060000000100000008'],
  [{ kind: 'end', towards: 'exposing', number: 1, reason: 'done' }, '070000000101'],
  [{ kind: 'end', towards: 'forwarding', number: 1, reason: 'unknown' }, '080000000106'],
]

const u32 = fc.nat(0xffffffff)
const towards = fc.constantFrom('exposing' as const, 'forwarding' as const)
const packets = fc.record(
  {
    type: fc.constantFrom(...Object.values(udxTypes)),
    padding: fc.nat(255),
    seq: u32,
    ack: u32,
    payload: fc.uint8Array({ maxLength: 1400 }),
  },
  { noNullPrototype: true },
)
const reasons = fc.constantFrom(...(Object.keys(endReasons) as EndReason[]))
const frames: fc.Arbitrary<StreamFrame> = fc.oneof(
  fc.record(
    { kind: fc.constant('packet' as const), towards, number: u32, packet: packets },
    { noNullPrototype: true },
  ),
  fc.record(
    { kind: fc.constant('open' as const), number: u32, port: fc.integer({ min: 1, max: 65535 }), seq: u32 },
    { noNullPrototype: true },
  ),
  fc.record(
    {
      kind: fc.constant('open-named' as const),
      number: u32,
      name: fc.stringMatching(/^[a-zA-Z0-9._-]{1,32}$/),
      seq: u32,
    },
    { noNullPrototype: true },
  ),
  fc.record({ kind: fc.constant('opened' as const), number: u32, seq: u32 }, { noNullPrototype: true }),
  fc.record(
    { kind: fc.constant('end' as const), towards, number: u32, reason: reasons },
    { noNullPrototype: true },
  ),
)

test('stream frames have the documented layout', () => {
  for (const [frame, hex] of golden) {
    assert.equal(toHex(encodeStreamFrame(frame)), hex)
    assert.deepEqual(decodeStreamFrame(encodeStreamFrame(frame)), frame)
  }
})

test('decoding gives the encoded stream frame', () => {
  const check = (frame: StreamFrame) => {
    const bytes = encodeStreamFrame(frame)
    assert.ok(isStreamFrame(bytes))
    assert.deepEqual(decodeStreamFrame(bytes), frame)
  }
  fc.assert(fc.property(frames, check))
})

test('any bytes give a stream frame that encodes to the same bytes, or nothing', () => {
  const check = (bytes: Uint8Array) => {
    const frame = decodeStreamFrame(bytes)
    // Padding of zero bytes has two encodings.
    if (frame && !(frame.kind === 'packet' && frame.packet.padding === 0))
      assert.deepEqual(encodeStreamFrame(frame), bytes)
  }
  const begun = fc.tuple(fc.integer({ min: 2, max: 10 }), fc.uint8Array({ maxLength: 30 }))
  fc.assert(
    fc.property(begun, ([kind, rest]) => check(Uint8Array.of(kind, ...rest))),
    { numRuns: 2_000 },
  )
})

test('a stream frame with a wrong length, port 0 or an unknown reason is rejected', () => {
  const bad = [
    '0500000001005000000007ff',
    '05000000010050000000',
    '0500000001000000000007',
    '0600000001000000',
  ]
  const more = [
    '070000000100',
    '070000000107',
    '07000000010101',
    '03000000010100000000000000',
    '04000000018100',
    '',
  ]
  for (const hex of [...bad, ...more])
    assert.equal(decodeStreamFrame(Uint8Array.from(Buffer.from(hex, 'hex'))), null, hex)
})

test('decoding gives the encoded udx packet, and other types are rejected', () => {
  const check = (packet: StreamFrame & { kind: 'packet' }) => {
    const bytes = new UdxPacketWriter().write(packet.number, packet.packet)
    assert.deepEqual(readUdxPacket(bytes), { id: packet.number, packet: packet.packet })
  }
  const stream = fc.record(
    { kind: fc.constant('packet' as const), towards, number: u32, packet: packets },
    { noNullPrototype: true },
  )
  fc.assert(fc.property(stream, check))
  for (const type of [2, 3, 5, 8, 16, 32, 255])
    assert.equal(readUdxPacket(new UdxPacketWriter().write(1, { ...packet, type })), null)
  for (const bytes of [new Uint8Array(19), new Uint8Array(40)]) assert.equal(readUdxPacket(bytes), null)
})
