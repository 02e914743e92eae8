import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toHex, utf8 } from '../../src/base/bytes.ts'
import {
  decodeNamedFrame,
  encodeNamedFrame,
  isNamedFrame,
  maxChannelBytes,
} from '../../src/forward/udp/named-channel-frame.ts'
import { maxDatagramBytes } from '../../src/link/packet-codec.ts'

const names = fc.stringMatching(/^[a-zA-Z0-9._-]{1,32}$/)

test('channel frames have the documented layout', () => {
  const frame = { name: 'chat', payload: utf8('hi') }
  assert.equal(toHex(encodeNamedFrame(frame)), '0904636861746869')
})

test('decoding gives the encoded frame, and the largest fits in a link datagram', () => {
  const frames = fc.record(
    { name: names, payload: fc.uint8Array({ maxLength: 2_000 }) },
    { noNullPrototype: true },
  )
  const largest = encodeNamedFrame({ name: 'n'.repeat(32), payload: new Uint8Array(maxChannelBytes) })
  assert.ok(largest.length <= maxDatagramBytes)
  assert.ok(decodeNamedFrame(largest))
  const check = (frame: { name: string; payload: Uint8Array }) => {
    const bytes = encodeNamedFrame(frame)
    assert.ok(isNamedFrame(bytes))
    assert.deepEqual(decodeNamedFrame(bytes), frame)
  }
  fc.assert(fc.property(frames, check))
})

test('any bytes give a frame that encodes to the same bytes, or nothing', () => {
  const check = (bytes: Uint8Array) => {
    const frame = decodeNamedFrame(bytes)
    if (frame) assert.deepEqual(encodeNamedFrame(frame), bytes)
  }
  const rest = fc.uint8Array({ maxLength: 60 })
  fc.assert(fc.property(rest, check))
  fc.assert(fc.property(fc.nat(40), rest, (length, rest) => check(Uint8Array.of(9, length, ...rest))))
  fc.assert(fc.property(names, rest, (name, rest) => check(Uint8Array.of(9, 4, ...utf8(name), ...rest))))
})

test('names that are too long, empty, truncated or have invalid characters are rejected', () => {
  for (const hex of ['09', '0900', '0902', '090261', '09016e6f'.slice(0, 4), '0901c3', '090120', '0901000a'])
    assert.equal(decodeNamedFrame(Uint8Array.from(Buffer.from(hex, 'hex'))), null, hex)
  assert.equal(decodeNamedFrame(Uint8Array.of(9, 33, ...utf8('n'.repeat(33)))), null)
})
