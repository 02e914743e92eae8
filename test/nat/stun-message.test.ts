import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/base/bytes.ts'
import { type Endpoint, makeEndpoint } from '../../src/base/endpoint.ts'
import { fingerprintOf } from '../../src/nat/stun-attributes.ts'
import { decodeStun, encodeError, encodeRequest, encodeSuccess, isStun } from '../../src/nat/stun-message.ts'

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
const transactionId = bytesOf('b7e7a701 bc34d686 fa87dfae')

// RFC 5769 §2.1..2.3
const rfcRequest = bytesOf(
  '00010058 2112a442 b7e7a701 bc34d686 fa87dfae' +
    '80220010 5354554e 20746573 7420636c 69656e74' +
    '00240004 6e0001ff 80290008 932ff9b1 51263b36' +
    '00060009 6576746a 3a683676 59202020' +
    '00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2 80280004 e57a3bcf',
)
const rfcResponse4 = bytesOf(
  '0101003c 2112a442 b7e7a701 bc34d686 fa87dfae' +
    '8022000b 74657374 20766563 746f7220 00200008 0001a147 e112a643' +
    '00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7 80280004 c07d4c96',
)
const rfcResponse6 = bytesOf(
  '01010048 2112a442 b7e7a701 bc34d686 fa87dfae' +
    '8022000b 74657374 20766563 746f7220' +
    '00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9' +
    '00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41 80280004 c8fb0b4c',
)

const changeRequest = encodeRequest(transactionId, {
  change: { address: true, port: false },
  responsePort: 5,
})

const endpoints: fc.Arbitrary<Endpoint> = fc
  .tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 1, max: 65535 }))
  .map(([address, port]) => makeEndpoint(address, port))
  .filter((endpoint) => endpoint !== null)
const ids = fc.uint8Array({ minLength: 12, maxLength: 12 })

function withFingerprint(message: Uint8Array): Uint8Array {
  const whole = new Uint8Array(message.length + 8)
  whole.set(message)
  const view = new DataView(whole.buffer)
  view.setUint16(2, whole.length - 20)
  view.setUint32(message.length, 0x80280004)
  view.setUint32(message.length + 4, fingerprintOf(whole.subarray(0, -8)))
  return whole
}

/** A message of this type with these attributes, each already padded. */
function message(type: string, ...attributes: string[]): Uint8Array {
  const body = attributes.join('').replaceAll(' ', '')
  const length = (body.length / 2).toString(16).padStart(4, '0')
  return bytesOf(`${type}${length}2112a442${toHex(transactionId)}${body}`)
}

function faultOf(bytes: Uint8Array): string | null {
  const decoding = decodeStun(bytes)
  return decoding.ok ? null : decoding.fault
}

test('the sample request of RFC 5769 is decoded, its fingerprint checked, its PRIORITY reported as unknown', () => {
  assert.deepEqual(decodeStun(rfcRequest), {
    ok: true,
    message: { type: 'request', transactionId, unknownRequired: [0x0024] },
  })
})

test('the sample responses of RFC 5769 decode to their mapped addresses', () => {
  assert.deepEqual(decodeStun(rfcResponse4), {
    ok: true,
    message: { type: 'success', transactionId, mapped: { address: '192.0.2.1', port: 32853 } },
  })
  assert.deepEqual(decodeStun(rfcResponse6), {
    ok: true,
    message: {
      type: 'success',
      transactionId,
      mapped: { address: '2001:db8:1234:5678:11:2233:4455:6677', port: 32853 },
    },
  })
})

test('any altered bit of a message with a fingerprint is detected', () => {
  for (let bit = 0; bit < rfcResponse4.length * 8; bit++) {
    const altered = Uint8Array.from(rfcResponse4)
    altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7))
    // With its type altered, or hidden inside a longer attribute, the fingerprint is absent.
    const at = bit >> 3
    if (at === 72 || at === 73 || at === 50 || at === 51) continue
    assert.equal(decodeStun(altered).ok, false, `bit ${bit}`)
  }
})

test('encoded messages have the golden bytes', () => {
  assert.equal(
    toHex(encodeRequest(transactionId)),
    '000100082112a442b7e7a701bc34d686fa87dfae80280004fdf6ae02',
  )
  assert.equal(
    toHex(encodeRequest(transactionId, { change: { address: true, port: true }, responsePort: 0x1234 })),
    '000100182112a442b7e7a701bc34d686fa87dfae000300040000000600270002123400008028000434aa7af8',
  )
  assert.equal(
    toHex(encodeSuccess({ transactionId, mapped: { address: '192.0.2.1', port: 32853 } })),
    '0101000c2112a442b7e7a701bc34d686fa87dfae002000080001a147e112a643',
  )
  assert.equal(
    toHex(encodeError(transactionId, 420, [0x0003])),
    '011100102112a442b7e7a701bc34d686fa87dfae0009000400000414000a000200030000',
  )
})

test('every request is decoded as it was encoded', () => {
  const change = fc.option(
    fc.record({ address: fc.boolean(), port: fc.boolean() }, { noNullPrototype: true }),
  )
  const ports = fc.option(fc.integer({ min: 1, max: 65535 }))
  fc.assert(
    fc.property(ids, change, ports, (id, changed, port) => {
      const response = { ...(changed && { change: changed }), ...(port && { responsePort: port }) }
      assert.deepEqual(decodeStun(encodeRequest(id, response)), {
        ok: true,
        message: { type: 'request', transactionId: id, unknownRequired: [], ...response },
      })
    }),
  )
})

test('RESPONSE-PORT is decoded with or without its padding counted, and never as port 0', () => {
  for (const value of ['00270002 12340000', '00270004 12340000']) {
    const decoding = decodeStun(message('0001', value))
    assert.ok(decoding.ok && decoding.message.type === 'request')
    assert.equal(decoding.message.responsePort, 0x1234)
  }
  for (const value of ['00270002 00000000', '00270004 00001234', '00270000', '00270001 12000000']) {
    assert.equal(faultOf(message('0001', value)), 'bad-attribute', value)
  }
})

test('every response is decoded as it was encoded', () => {
  fc.assert(
    fc.property(ids, endpoints, fc.option(endpoints), fc.option(endpoints), (id, mapped, origin, other) => {
      const answer = {
        transactionId: id,
        mapped,
        ...(origin && { responseOrigin: origin }),
        ...(other && { otherAddress: other }),
      }
      assert.deepEqual(decodeStun(encodeSuccess(answer)), {
        ok: true,
        message: { type: 'success', ...answer },
      })
    }),
  )
  fc.assert(
    fc.property(ids, fc.integer({ min: 300, max: 699 }), (id, code) => {
      assert.deepEqual(decodeStun(encodeError(id, code)), {
        ok: true,
        message: { type: 'error', transactionId: id, code },
      })
    }),
  )
})

test('decoding never throws', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 1500 }), (bytes) => void decodeStun(bytes)))
  fc.assert(
    fc.property(
      fc.constantFrom(rfcRequest, rfcResponse4, rfcResponse6, changeRequest),
      fc.array(fc.tuple(fc.nat(107), fc.nat(255)), { maxLength: 6 }),
      fc.nat(120),
      (sample, changes, length) => {
        const bytes = Uint8Array.from(sample)
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
        decodeStun(bytes.subarray(0, length))
      },
    ),
  )
})

test('an old server with MAPPED-ADDRESS only, and attributes unknown to RFC 8489, is understood', () => {
  const decoding = decodeStun(
    message('0101', '00010008 00011388 05060708', '00040008 00010d96 0b000001', '00050008 00010d97 0b000002'),
  )
  assert.deepEqual(decoding, {
    ok: true,
    message: { type: 'success', transactionId, mapped: { address: '5.6.7.8', port: 5000 } },
  })
})

test('XOR-MAPPED-ADDRESS counts before MAPPED-ADDRESS, and the first of several', () => {
  const decoding = decodeStun(
    message('0101', '00010008 00011388 05060708', '00200008 0001a147 e112a643', '00200008 0001a148 e112a643'),
  )
  assert.ok(decoding.ok && decoding.message.type === 'success')
  assert.deepEqual(decoding.message.mapped, { address: '192.0.2.1', port: 32853 })
})

test('attributes after the integrity check are ignored', () => {
  const integrity = `00080014${'00'.repeat(20)}`
  assert.equal(faultOf(message('0101', integrity, '00200008 0001a147 e112a643')), 'missing-attribute')
})

test('each kind of malformed message has its fault', () => {
  const valid = encodeSuccess({ transactionId, mapped: { address: '192.0.2.1', port: 32853 } })
  const cases: [string, Uint8Array][] = [
    ['not-stun', new Uint8Array(0)],
    ['not-stun', valid.subarray(0, 19)],
    ['not-stun', Uint8Array.from(valid, (byte, at) => (at === 0 ? 0xc1 : byte))],
    ['not-stun', Uint8Array.from(valid, (byte, at) => (at === 4 ? 0 : byte))],
    ['too-big', Uint8Array.from({ length: 1284 }, (_, at) => valid[at] ?? 0)],
    ['bad-length', valid.subarray(0, -4)],
    ['unknown-type', message('0011')],
    ['unknown-type', message('0003')],
    ['bad-attribute', message('0101', '00200010 0001a147 e112a643')],
    ['bad-attribute', message('0101', '00200008 0003a147 e112a643')],
    ['bad-attribute', message('0101', '00200008 00012112 e112a643')],
    ['bad-attribute', message('0111', '00090004 00000764')],
    ['bad-attribute', message('0001', '00030000')],
    ['bad-attribute', message('0001', '00030003 00000600')],
    ['missing-attribute', message('0101')],
    ['missing-attribute', message('0111')],
    ['unknown-required', message('0101', '00200008 0001a147 e112a643', '00770000')],
    ['too-many-attributes', message('0001', '80220000'.repeat(33))],
    ['bad-fingerprint', message('0001', '80280004 00000000')],
    ['bad-fingerprint', message('0001', '80280004 00000000', '80220000')],
  ]
  for (const [fault, bytes] of cases)
    assert.equal(faultOf(bytes), fault, `${fault} ${toHex(bytes).slice(0, 80)}`)
  assert.equal(faultOf(withFingerprint(valid)), null)
})

test('the first bytes distinguish STUN from our own packets', () => {
  assert.equal(isStun(encodeRequest(transactionId)), true)
  for (const first of [0xc1, 0xc2, 0xc3])
    assert.equal(isStun(Uint8Array.of(first, ...rfcRequest.slice(1))), false)
})
