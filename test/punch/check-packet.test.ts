import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/base/bytes.ts'
import { makeEndpoint } from '../../src/base/endpoint.ts'
import {
  type CheckKeys,
  type CheckPacket,
  checkPacketBytes,
  checkTag,
  openCheck,
  sealCheck,
} from '../../src/punch/check-packet.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { pairKeys } from '../harness/simulator/world.ts'

const { a, b } = pairKeys(1)
const count = (from: number, length: number) => Uint8Array.from({ length }, (_, i) => from + i)
const fixed: CheckKeys = { tag: count(0xa0, 8), sendKey: count(0, 32), receiveKey: count(32, 32) }
const fixedCrypto = { ...realCrypto, randomBytes: (length: number) => count(0x40, length) }

const packets: fc.Arbitrary<CheckPacket> = fc.oneof(
  fc.nat(0xffffffff).map((sequence) => ({ type: 'check' as const, sequence })),
  fc.record(
    {
      type: fc.constant('confirm' as const),
      sequence: fc.nat(0xffffffff),
      confirms: fc.nat(0xffffffff),
      observed: fc
        .tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 1, max: 65535 }))
        .map(([address, port]) => makeEndpoint(address, port))
        .filter((endpoint) => endpoint !== null),
    },
    { noNullPrototype: true },
  ),
)

test('with fixed keys and nonce the packets have the golden bytes', () => {
  const header = 'c1a0a1a2a3a4a5a6a7404142434445464748494a4b4c4d4e4f5051525354555657'
  assert.equal(
    toHex(sealCheck(fixedCrypto, fixed, { type: 'check', sequence: 0x01020304 })),
    `${header}d5380773d4e079168ff487beaf9c659292baadc41359539a6a31fd45a21af69e771ba4590bebac5e3ac07cb2`,
  )
  const observed = { address: '192.0.2.1', port: 32853 }
  assert.equal(
    toHex(sealCheck(fixedCrypto, fixed, { type: 'confirm', sequence: 0x01020305, confirms: 7, observed })),
    `${header}d6380773d5e0791688f247bead9de5c792baadc41359539a6a31fd453233b2bcfdd8240ba21c9ef30ac6b937`,
  )
  const six = { address: '2001:db8::1', port: 32853 }
  assert.equal(
    toHex(
      sealCheck(fixedCrypto, fixed, { type: 'confirm', sequence: 0x01020306, confirms: 8, observed: six }),
    ),
    `${header}d6380773d6e0791687e6a7bfa224659292baadc41359539a6a307d10310517b392034945f730701f538afc81`,
  )
})

test('the peer decodes every packet as it was encoded, and all have one size', () => {
  fc.assert(
    fc.property(packets, (packet) => {
      const bytes = sealCheck(realCrypto, a, packet)
      assert.equal(bytes.length, checkPacketBytes)
      assert.deepEqual(checkTag(bytes), a.tag)
      assert.deepEqual(openCheck(realCrypto, b, bytes), packet)
    }),
  )
})

test('our own packets reflected, and packets of another attempt, are rejected', () => {
  const bytes = sealCheck(realCrypto, a, { type: 'check', sequence: 1 })
  assert.equal(openCheck(realCrypto, a, bytes), null)
  assert.equal(openCheck(realCrypto, pairKeys(2).b, bytes), null)
  assert.equal(openCheck(realCrypto, { ...b, tag: pairKeys(2).b.tag }, bytes), null)
})

test('altered or random bytes are never accepted', () => {
  const bytes = sealCheck(realCrypto, a, { type: 'check', sequence: 1 })
  for (let at = 0; at < bytes.length; at++) {
    const altered = Uint8Array.from(bytes)
    altered[at] = (altered[at] as number) ^ 1
    assert.equal(openCheck(realCrypto, b, altered), null)
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (random) => openCheck(realCrypto, b, random) === null),
  )
})

test('a sealed packet that breaks the layout is rejected', () => {
  const seal = (plain: Uint8Array) => {
    const header = Uint8Array.of(0xc1, ...a.tag)
    const nonce = realCrypto.randomBytes(24)
    return Uint8Array.of(...header, ...nonce, ...realCrypto.encrypt(a.sendKey, nonce, plain, header))
  }
  const plain = (changes: Record<number, number>) =>
    Uint8Array.from({ length: 28 }, (_, i) => changes[i] ?? 0)
  assert.ok(openCheck(realCrypto, b, seal(plain({ 0: 1 }))))
  const wrong = [
    plain({}),
    plain({ 0: 3 }),
    plain({ 0: 1, 8: 1 }),
    plain({ 0: 1, 27: 1 }),
    plain({ 0: 1, 9: 6 }),
    plain({ 0: 2 }),
    plain({ 0: 2, 9: 6, 10: 1 }),
    plain({ 0: 2, 9: 6, 10: 1, 15: 1, 16: 1 }),
    plain({ 0: 2, 9: 19, 15: 1 }),
    plain({ 0: 2, 9: 255 }),
  ]
  for (const [index, bytes] of wrong.entries())
    assert.equal(openCheck(realCrypto, b, seal(bytes)), null, `${index}`)
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 28, maxLength: 28 }), (bytes) => {
      openCheck(realCrypto, b, seal(bytes))
    }),
  )
})
