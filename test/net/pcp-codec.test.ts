// The bytes of PCP and NAT-PMP.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/base/bytes.ts'
import {
  decodeNatPmp,
  decodePcpMap,
  encodeNatPmpAddress,
  encodeNatPmpMap,
  encodePcpMap,
  unsupportedVersion,
} from '../../src/net/portmap/pcp-codec.ts'

const nonce = Uint8Array.from({ length: 12 }, (_, index) => index + 1)
const fromHex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))

/** RFC 6887 §11.1, written by hand: 4321 inside and outside, one hour, from 10.0.1.2. */
const pcpRequest = `
  02 01 0000 00000e10 00000000000000000000ffff0a000102
  0102030405060708090a0b0c 11 000000 10e1 10e1 00000000000000000000ffff00000000`
/** Granted: 11.9.0.10:5000 for 600 s. */
const pcpAnswer = `
  02 81 0000 00000258 00000063 000000000000000000000000
  0102030405060708090a0b0c 11 000000 10e1 1388 00000000000000000000ffff0b09000a`

test('a PCP request has the bytes of RFC 6887', () => {
  const bytes = encodePcpMap({ internalPort: 4321, externalPort: 4321, lifetimeS: 3600 }, '10.0.1.2', nonce)
  assert.equal(toHex(bytes), toHex(fromHex(pcpRequest)))
})

test('a PCP answer is decoded only for its own request', () => {
  const bytes = fromHex(pcpAnswer)
  assert.deepEqual(decodePcpMap(bytes, 4321, nonce), {
    type: 'mapped',
    external: { address: '11.9.0.10', port: 5000 },
    lifetimeS: 600,
  })
  assert.equal(decodePcpMap(bytes, 4322, nonce), null, 'another port')
  assert.equal(decodePcpMap(bytes, 4321, nonce.toReversed()), null, 'another nonce')
  assert.equal(decodePcpMap(fromHex(pcpRequest), 4321, nonce), null, 'a request')
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodePcpMap(bytes.subarray(0, length), 4321, nonce), null, `${length} bytes`)
  }
})

test('a refusal, and a grant without a usable port, are decoded', () => {
  const refusing = fromHex(pcpAnswer)
  refusing[3] = 2
  assert.deepEqual(decodePcpMap(refusing, 4321, nonce), { type: 'refused', code: 2 })
  const nowhere = fromHex(pcpAnswer)
  nowhere.fill(0, 56, 60)
  assert.deepEqual(decodePcpMap(nowhere, 4321, nonce), { type: 'refused', code: 0 })
  const noPort = fromHex(pcpAnswer)
  noPort.fill(0, 42, 44)
  assert.deepEqual(decodePcpMap(noPort, 4321, nonce), { type: 'refused', code: 0 })
})

test('a router that knows only NAT-PMP answers so in its own format', () => {
  const answer = { type: 'refused', code: unsupportedVersion }
  assert.deepEqual(decodePcpMap(fromHex('00 81 0001 00000063'), 4321, nonce), answer)
  assert.deepEqual(decodePcpMap(fromHex('00 80 0001'), 4321, nonce), answer)
  assert.equal(decodePcpMap(fromHex('00 81 0002 00000063'), 4321, nonce), null)
})

test('NAT-PMP has the bytes of RFC 6886, in both directions', () => {
  assert.equal(toHex(encodeNatPmpAddress()), '0000')
  const request = { internalPort: 4321, externalPort: 5000, lifetimeS: 3600 }
  assert.equal(toHex(encodeNatPmpMap(request)), '0001000010e1138800000e10')
  assert.deepEqual(decodeNatPmp(fromHex('00 80 0000 00000063 0b09000a'), 'address'), {
    type: 'address',
    address: '11.9.0.10',
  })
  const mapped = fromHex('00 81 0000 00000063 10e1 1388 00000258')
  assert.deepEqual(decodeNatPmp(mapped, 4321), { type: 'mapped', externalPort: 5000, lifetimeS: 600 })
  assert.equal(decodeNatPmp(mapped, 4322), null, 'another port')
  assert.equal(decodeNatPmp(mapped, 'address'), null, 'an answer to something else')
  assert.deepEqual(decodeNatPmp(fromHex('00 81 0002 00000063'), 4321), { type: 'refused', code: 2 })
  assert.deepEqual(decodeNatPmp(fromHex('00 80 0000 00000063 00000000'), 'address'), {
    type: 'refused',
    code: 0,
  })
})

test('decoding never throws', () => {
  const start = fc.constantFrom('', '0281', '0081', '0080', '02810000', '00810000', '0280')
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 80 }), (prefix, rest) => {
      const bytes = Uint8Array.from([...fromHex(prefix), ...rest])
      const answer = decodePcpMap(bytes, 4321, nonce)
      if (answer?.type === 'mapped') assert.deepEqual(bytes.subarray(24, 36), nonce)
      decodeNatPmp(bytes, 'address')
      decodeNatPmp(bytes, 4321)
    }),
    { numRuns: 2_000 },
  )
})

test('any grant is decoded as it was encoded', () => {
  fc.assert(
    fc.property(
      fc.ipV4().filter((address) => address !== '0.0.0.0'),
      fc.integer({ min: 1, max: 65535 }),
      fc.nat(2 ** 31),
      (address, port, lifetimeS) => {
        const request = { internalPort: 9, externalPort: port, lifetimeS }
        const bytes = encodePcpMap(request, '10.0.0.1', nonce)
        bytes[1] = 0x81
        bytes.set(address.split('.').map(Number), 56)
        assert.deepEqual(decodePcpMap(bytes, 9, nonce), {
          type: 'mapped',
          external: { address, port },
          lifetimeS,
        })
      },
    ),
  )
})

test('a TCP port is requested by its own protocol number, and no answer about UDP counts', () => {
  const request = { internalPort: 4321, externalPort: 4321, lifetimeS: 3600 }
  const requested = encodePcpMap(request, '10.0.1.2', nonce, 'TCP')
  assert.equal(requested[36], 6)
  const answer = fromHex(pcpAnswer)
  assert.equal(decodePcpMap(answer, 4321, nonce, 'TCP'), null)
  answer[36] = 6
  assert.equal(decodePcpMap(answer, 4321, nonce), null)
  assert.equal(decodePcpMap(answer, 4321, nonce, 'TCP')?.type, 'mapped')
  assert.equal(encodeNatPmpMap(request, 'TCP')[1], 2)
})
