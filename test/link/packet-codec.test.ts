import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concatBytes, toHex, utf8 } from '../../src/base/bytes.ts'
import type { Crypto } from '../../src/base/crypto.ts'
import { Handshake } from '../../src/link/handshake.ts'
import { frameKinds, openHandshake, sealHandshake } from '../../src/link/packet-codec.ts'
import { PacketCrypto } from '../../src/link/packet-crypto.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'

const goldenHandshake = [
  'c28081828384858687a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b747ed083d967f878844490aa1581a88',
  'ec1684b01c9b34f9ed2876bcdfde99c50aecb9956f07043f88e0ad291ed27ee462e86869a98b3a83f3afe156b2707b29',
  'df3b2cb91ccd890b59fc0a2d0411375713a109b5386770c8762a85517fee246d4c772cd149bfedc85c4f102760929f27',
  '238eb744',
].join('')
const goldenData = 'c3808182838485868700000100010203046580a74118fc0019c31893c24567d20a2402ecd4d503'
const goldenSendKey = 'df2dbfa94d6e98cf1f6e6e3862cacbea275979e01fe7d6443e3c6c8a4f0fead0'
const goldenReceiveKey = 'ff0cf1d42fc52909f162cd1ba5f71d232adfd9747f73118f72211aa0f314d85d'

const counting = (length: number, from: number) => Uint8Array.from({ length }, (_, i) => from + i)
const key = counting(32, 0)
const tag = counting(8, 0x80)
const fixed: Crypto = { ...realCrypto, randomBytes: (length) => counting(length, 0xa0) }

test('a handshake packet has the documented byte layout', () => {
  const ephemeral = counting(32, 0x20)
  const signature = counting(64, 0x40)
  const packet = sealHandshake(fixed, key, tag, { type: 'acceptance', attempt: 0x0102, ephemeral, signature })
  const head = Uint8Array.from([0xc2, ...tag])
  const nonce = counting(24, 0xa0)
  const plaintext = concatBytes(Uint8Array.of(2, 1, 2), ephemeral, signature)
  const sealed = realCrypto.encrypt(key, nonce, plaintext, head)
  assert.equal(toHex(packet), toHex(concatBytes(head, nonce, sealed)))
  assert.equal(toHex(packet), goldenHandshake)
  assert.deepEqual(openHandshake(realCrypto, key, tag, packet), {
    type: 'acceptance',
    attempt: 0x0102,
    ephemeral,
    signature,
  })
})

test('an authentic handshake packet of unknown type or number 0 is rejected', () => {
  const head = Uint8Array.from([0xc2, ...tag])
  const nonce = counting(24, 0)
  for (const start of [
    [0, 0, 1],
    [4, 0, 1],
    [1, 0, 0],
  ]) {
    const plaintext = concatBytes(Uint8Array.from(start), new Uint8Array(96))
    const packet = concatBytes(head, nonce, realCrypto.encrypt(key, nonce, plaintext, head))
    assert.equal(openHandshake(realCrypto, key, tag, packet), null)
  }
})

test('a data packet has the documented byte layout, and its nonce comes from its counter', () => {
  const counter = 2 ** 40 + 0x01020304
  const keys = () => ({ sendKey: key.slice(), receiveKey: key.slice() })
  const packet = new PacketCrypto(realCrypto, tag, keys(), counter).seal(frameKinds.datagram, utf8('hello'))
  const counterBytes = Uint8Array.of(0, 0, 1, 0, 1, 2, 3, 4)
  const head = concatBytes(Uint8Array.of(0xc3), tag, counterBytes)
  const nonce = concatBytes(new Uint8Array(16), counterBytes)
  const plaintext = concatBytes(Uint8Array.of(1), utf8('hello'))
  assert.equal(toHex(packet), toHex(concatBytes(head, realCrypto.encrypt(key, nonce, plaintext, head))))
  assert.equal(toHex(packet), goldenData)
  assert.equal(packet.length, 5 + 34)
  const frame = new PacketCrypto(realCrypto, tag, keys()).open(packet)
  assert.deepEqual(frame, { kind: 1, body: utf8('hello'), isNewest: true })
})

test('sealing stops before a counter reaches 2^48', () => {
  const keys = { sendKey: key.slice(), receiveKey: key.slice() }
  const packetCrypto = new PacketCrypto(realCrypto, tag, keys, 2 ** 48 - 1)
  const last = packetCrypto.seal(frameKinds.ping, new Uint8Array(4))
  assert.equal(toHex(last.subarray(9, 17)), '0000ffffffffffff')
  assert.throws(() => packetCrypto.seal(frameKinds.ping, new Uint8Array(4)), RangeError)
})

test('a handshake with fixed ephemeral keys leads both sides to the golden keys', () => {
  const identities = [1, 2].map((seed) => realCrypto.signKeyPair(new Uint8Array(32).fill(seed)))
  const [openerIdentity, responderIdentity] = identities
  const [sessionOfOpener, sessionOfResponder] = [counting(32, 1), counting(32, 2)]
  assert.ok(openerIdentity && responderIdentity)
  const withEphemeral = (seed: number): Crypto => ({
    ...fixed,
    boxKeyPair: () => realCrypto.boxKeyPair(new Uint8Array(32).fill(seed)),
  })
  const [there, back] = [counting(32, 0x10), counting(32, 0x50)]
  const opener = new Handshake({
    crypto: withEphemeral(3),
    role: 'opener',
    tag,
    keys: { sendKey: there, receiveKey: back },
    identity: openerIdentity,
    peerId: responderIdentity.publicKey,
    sessionKeys: { mine: sessionOfOpener, theirs: sessionOfResponder },
  })
  const responder = new Handshake({
    crypto: withEphemeral(4),
    role: 'responder',
    tag,
    keys: { sendKey: back, receiveKey: there },
    identity: responderIdentity,
    peerId: openerIdentity.publicKey,
    sessionKeys: { mine: sessionOfResponder, theirs: sessionOfOpener },
  })
  const acceptance = responder.handlePacket(opener.next() ?? new Uint8Array())
  assert.ok(acceptance.step === 'answer')
  const agreed = opener.handlePacket(acceptance.bytes)
  assert.ok(agreed.step === 'agreed')
  assert.equal(responder.handlePacket(opener.next() ?? new Uint8Array()).step, 'agreed')

  const ephemerals = [3, 4].map((seed) => realCrypto.boxKeyPair(new Uint8Array(32).fill(seed)))
  const [mine, theirs] = ephemerals
  assert.ok(mine && theirs)
  const transcript = concatBytes(
    utf8('peerpost link 1'),
    Uint8Array.of(0),
    tag,
    openerIdentity.publicKey,
    responderIdentity.publicKey,
    sessionOfOpener,
    sessionOfResponder,
    mine.publicKey,
    theirs.publicKey,
  )
  const shared = realCrypto.exchange('client', mine, theirs.publicKey)
  assert.ok(shared)
  const mix = (fresh: Uint8Array, given: Uint8Array) =>
    realCrypto.hash(concatBytes(fresh, realCrypto.hash(transcript, 32)), 32, given)
  assert.deepEqual(agreed.keys, {
    sendKey: mix(shared.sendKey, there),
    receiveKey: mix(shared.receiveKey, back),
  })
  assert.equal(toHex(agreed.keys.sendKey), goldenSendKey)
  assert.equal(toHex(agreed.keys.receiveKey), goldenReceiveKey)
})
