import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, toHex } from '../../src/base/bytes.ts'
import { type Endpoint, encodeEndpoint, familyOf } from '../../src/base/endpoint.ts'
import { encodeAddress } from '../../src/nat/stun-attributes.ts'
import { decodeStun, encodeError, encodeRequest, encodeSuccess } from '../../src/nat/stun-message.ts'
import { type AlternateAddresses, cornersOf, moved } from '../../src/stun-server/alternate-addresses.ts'
import type { Packet } from '../../src/stun-server/stun-response.ts'
import { answerRequest, maxAnswerBytes } from '../harness/stun-answer.ts'

const transactionId = Uint8Array.from({ length: 12 }, (_, i) => i)
const from = { address: '11.0.0.7', port: 7777 }
const four: AlternateAddresses = { addresses: ['198.18.0.1', '198.18.0.2'], ports: [3478, 3479] }
const six: AlternateAddresses = { addresses: ['2001:db8::1', '2001:db8::2'], ports: [3478, 3479] }
const corner = { address: '198.18.0.1', port: 3478 }

/** The shortest request there is, without FINGERPRINT. */
const bare = Uint8Array.of(0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, ...transactionId)

/** A request with these attributes, as written: type, length, value. */
function requestWith(...attributes: number[][]): Uint8Array {
  const body = Uint8Array.from(attributes.flat())
  return concatBytes(bare.slice(0, 3), Uint8Array.of(body.length), bare.slice(4), body)
}

function success(packet: Packet | null) {
  assert.ok(packet)
  const decoding = decodeStun(packet.bytes)
  assert.ok(decoding.ok && decoding.message.type === 'success', JSON.stringify(decoding))
  return decoding.message
}

test('a request is answered with where it came from and nothing more', () => {
  const answer = answerRequest({ from, to: corner, bytes: encodeRequest(transactionId) }, null)
  assert.deepEqual([answer?.from, answer?.to], [corner, from])
  assert.deepEqual(success(answer), { type: 'success', transactionId, mapped: from })
})

test('with two addresses the answer comes from the corner that was wished for, and names both ways (RFC 5780 §6.1, table 1)', () => {
  const other = { address: '198.18.0.2', port: 3479 }
  const table = [
    { change: undefined, source: corner },
    { change: { address: false, port: false }, source: corner },
    { change: { address: true, port: false }, source: { address: '198.18.0.2', port: 3478 } },
    { change: { address: false, port: true }, source: { address: '198.18.0.1', port: 3479 } },
    { change: { address: true, port: true }, source: other },
  ]
  for (const { change, source } of table) {
    const bytes = encodeRequest(transactionId, change ? { change } : {})
    const answer = answerRequest({ from, to: corner, bytes }, four)
    assert.deepEqual(answer?.from, source)
    assert.deepEqual(answer?.to, from)
    const message = success(answer)
    assert.deepEqual(message.mapped, from)
    assert.deepEqual(message.responseOrigin, source)
    assert.deepEqual(message.otherAddress, other)
  }
})

test('with two addresses MAPPED-ADDRESS stands beside XOR-MAPPED-ADDRESS', () => {
  const answer = answerRequest({ from, to: corner, bytes: bare }, four)
  assert.ok(answer)
  const mapped = concatBytes(Uint8Array.of(0, 1, 0, 8), encodeAddress(from))
  assert.ok(toHex(answer.bytes).includes(toHex(mapped)))
})

test('without two addresses a request for another one is refused, whatever its flags (RFC 5780 §6)', () => {
  for (const flags of [0, 2, 4, 6]) {
    const bytes = requestWith([0, 3, 0, 4, 0, 0, 0, flags])
    const answer = answerRequest({ from, to: corner, bytes }, null)
    assert.ok(answer)
    assert.deepEqual(answer.to, from)
    assert.deepEqual(decodeStun(answer.bytes), {
      ok: true,
      message: { type: 'error', transactionId, code: 420 },
    })
    // UNKNOWN-ATTRIBUTES names CHANGE-REQUEST, so that the client knows what it may leave out.
    assert.ok(toHex(answer.bytes).includes('000a00020003'))
  }
})

test('RESPONSE-PORT changes the port the answer goes to and never the address', () => {
  for (const square of [four, null]) {
    const bytes = encodeRequest(transactionId, { responsePort: 4444 })
    const answer = answerRequest({ from, to: corner, bytes }, square)
    assert.deepEqual(answer?.to, { address: from.address, port: 4444 })
    assert.deepEqual(success(answer).mapped, from)
  }
})

test('PADDING is not offered, so that nobody is sent more than it sent', () => {
  const padding = [0, 0x26, 0, 4, 1, 2, 3, 4]
  for (const bytes of [requestWith(padding), requestWith(padding, [0, 0x27, 0, 4, 0x11, 0x5c, 0, 0])]) {
    const answer = answerRequest({ from, to: corner, bytes }, four)
    assert.ok(answer)
    assert.deepEqual(decodeStun(answer.bytes), {
      ok: true,
      message: { type: 'error', transactionId, code: 420 },
    })
    assert.deepEqual(answer.to, from, 'an error goes back to whoever asked, not to the port it named')
  }
})

test('answers, errors and anything else that is no request get no answer, so that two servers cannot ping-pong', () => {
  for (const square of [four, null]) {
    const answers = [
      encodeSuccess({ transactionId, mapped: from }),
      encodeError(transactionId, 420),
      // A Binding indication, and a request of another method (TURN's Allocate).
      Uint8Array.of(0, 0x11, ...bare.slice(2)),
      Uint8Array.of(0, 3, ...bare.slice(2)),
      answerRequest({ from, to: corner, bytes: bare }, square)?.bytes ?? new Uint8Array(),
    ]
    for (const bytes of answers) assert.equal(answerRequest({ from, to: corner, bytes }, square), null)
  }
})

test('a broken CHANGE-REQUEST, RESPONSE-PORT or FINGERPRINT gets no answer', () => {
  const broken = [
    requestWith([0, 3, 0, 3, 0, 0, 0, 0]),
    requestWith([0, 3, 0, 8, 0, 0, 0, 6, 0, 0, 0, 6]),
    requestWith([0, 0x27, 0, 4, 0, 0, 0, 0]),
    requestWith([0, 0x27, 0, 1, 9, 0, 0, 0]),
    requestWith([0x80, 0x28, 0, 4, 1, 2, 3, 4]),
    requestWith([0, 3, 0, 4, 0, 0, 0, 6]).subarray(0, -1),
    concatBytes(bare, Uint8Array.of(0)),
  ]
  for (const bytes of broken) assert.equal(answerRequest({ from, to: corner, bytes }, four), null)
})

test('no answer is larger than the bound that the documentation states', () => {
  const sixFrom = { address: '2a00::1', port: 1 }
  const sizes = (square: AlternateAddresses | null, source: Endpoint) => {
    const [to = corner] = square ? cornersOf(square) : [corner]
    return answerRequest({ from: source, to, bytes: bare }, square)?.bytes.length
  }
  assert.equal(sizes(null, from), 32)
  assert.equal(sizes(null, sixFrom), 44)
  assert.equal(sizes(four, from), 68)
  assert.equal(sizes(six, sixFrom), maxAnswerBytes)
})

const byte = fc.nat(255)
const anyAttribute = fc
  .record({
    type: fc.oneof(
      fc.constantFrom(0x0001, 0x0003, 0x0006, 0x0008, 0x0020, 0x0026, 0x0027, 0x8022, 0x8028, 0x802c),
      fc.nat(0xffff),
    ),
    value: fc.oneof(
      fc.constantFrom([0, 0, 0, 2], [0, 0, 0, 6], [0x11, 0x5c], [0x11, 0x5c, 0, 0]),
      fc.array(byte, { maxLength: 24 }),
    ),
  })
  .map(({ type, value }) => {
    const padding = new Array<number>((4 - (value.length % 4)) % 4).fill(0)
    return [type >> 8, type & 255, value.length >> 8, value.length & 255, ...value, ...padding]
  })
const anyRequest = fc
  .record({
    attributes: fc.array(anyAttribute, { maxLength: 8 }),
    spoiled: fc.option(fc.record({ at: fc.nat(255), value: byte }), { freq: 3 }),
  })
  .map(({ attributes, spoiled }) => {
    const bytes = requestWith(...attributes)
    if (spoiled && spoiled.at < bytes.length) bytes[spoiled.at] = spoiled.value
    return bytes
  })
const anyDatagram = fc.oneof({ weight: 4, arbitrary: anyRequest }, fc.uint8Array({ maxLength: 1500 }))

test('whatever comes, an answer goes to the address it came from, from a place of ours, and is small', () => {
  let answered = 0
  const property = fc.property(
    anyDatagram,
    fc.constantFrom<AlternateAddresses>(four, six),
    fc.boolean(),
    fc.nat(3),
    (bytes, square, full, index) => {
      const to = cornersOf(square)[index] ?? corner
      const source = square === four ? from : { address: '2a00::1', port: 9999 }
      const before = Uint8Array.from(bytes)
      const answer = answerRequest({ from: source, to, bytes }, full ? square : null)
      assert.deepEqual(bytes, before)
      if (!answer) return
      answered++
      assert.equal(answer.to.address, source.address)
      assert.ok(answer.to.port >= 1 && answer.to.port <= 65_535)
      assert.ok(answer.bytes.length <= maxAnswerBytes)
      const places = full ? cornersOf(square) : [to]
      assert.ok(
        places.some(({ address, port }) => address === answer.from.address && port === answer.from.port),
      )
      const decoding = decodeStun(answer.bytes)
      assert.ok(decoding.ok && decoding.message.type !== 'request')
      assert.equal(answerRequest({ ...answer, bytes: answer.bytes }, full ? square : null), null)
    },
  )
  fc.assert(property, { numRuns: 3000 })
  assert.ok(answered > 300, `only ${answered} were answered`)
})

test('moving there and back ends where it began, and both moves together lead across', () => {
  for (const square of [four, six]) {
    for (const place of cornersOf(square)) {
      for (const change of [
        { address: true, port: false },
        { address: false, port: true },
        { address: true, port: true },
      ]) {
        assert.deepEqual(moved(square, moved(square, place, change), change), place)
        assert.notDeepEqual(encodeEndpoint(moved(square, place, change)), encodeEndpoint(place))
        assert.equal(familyOf(moved(square, place, change).address), familyOf(place.address))
      }
    }
  }
})
