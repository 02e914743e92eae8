// The keys that two agents share before their first packet.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { derivePairKeys, type PairKeys, wipePairKeys } from '../../src/agent/peers/pair-keys.ts'
import { toHex } from '../../src/base/bytes.ts'
import { realCrypto as crypto } from '../harness/seeded-crypto.ts'

const seed = fc.uint8Array({ minLength: 32, maxLength: 32 })
const pair = seed.map((bytes) => crypto.boxKeyPair(bytes))
const twoPairs = fc.tuple(pair, pair).filter(([a, b]) => toHex(a.publicKey) !== toHex(b.publicKey))

const uses = ['punch', 'link', 'signal'] as const

function secretsOf(keys: PairKeys): string[] {
  return uses.flatMap((use) => [keys[use].sendKey, keys[use].receiveKey]).map(toHex)
}

function derived(keys: PairKeys | null): PairKeys {
  assert.ok(keys)
  return keys
}

test('both sides derive the same keys for each direction, and different roles', () => {
  fc.assert(
    fc.property(twoPairs, seed, ([a, b], secret) => {
      const ofA = derived(derivePairKeys(crypto, a, b.publicKey, secret))
      const ofB = derived(derivePairKeys(crypto, b, a.publicKey, secret))
      assert.deepEqual(ofA.tag, ofB.tag)
      assert.equal(ofA.tag.length, 8)
      for (const use of uses) {
        assert.deepEqual(ofA[use].sendKey, ofB[use].receiveKey)
        assert.deepEqual(ofA[use].receiveKey, ofB[use].sendKey)
      }
      assert.deepEqual([ofA.role, ofB.role].sort(), ['opener', 'responder'])
    }),
  )
})

test('every use and every direction has its own key', () => {
  fc.assert(
    fc.property(twoPairs, seed, ([a, b], secret) => {
      const secrets = secretsOf(derived(derivePairKeys(crypto, a, b.publicKey, secret)))
      assert.equal(new Set(secrets).size, 6)
    }),
  )
})

test('another room, or another session on either side, gives other keys and another tag', () => {
  fc.assert(
    fc.property(twoPairs, pair, seed, seed, ([a, b], c, secret, other) => {
      fc.pre(toHex(secret) !== toHex(other))
      fc.pre([a, b].every(({ publicKey }) => toHex(publicKey) !== toHex(c.publicKey)))
      const all = [
        derivePairKeys(crypto, a, b.publicKey, secret),
        derivePairKeys(crypto, a, b.publicKey, other),
        derivePairKeys(crypto, a, c.publicKey, secret),
        derivePairKeys(crypto, c, b.publicKey, secret),
      ].map(derived)
      assert.equal(new Set(all.map(({ tag }) => toHex(tag))).size, 4)
      assert.equal(new Set(all.flatMap(secretsOf)).size, 24)
    }),
  )
})

test('our own session key and keys of small order give no keys', () => {
  const smallOrder = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ].map((hex) => new Uint8Array(Buffer.from(hex, 'hex')))
  fc.assert(
    fc.property(pair, seed, fc.constantFrom(...smallOrder), (mine, secret, bad) => {
      assert.equal(derivePairKeys(crypto, mine, mine.publicKey, secret), null)
      assert.equal(derivePairKeys(crypto, mine, bad, secret), null)
    }),
  )
})

test('wiped keys are zero', () => {
  const keys = derived(
    derivePairKeys(crypto, crypto.boxKeyPair(), crypto.boxKeyPair().publicKey, crypto.randomBytes(32)),
  )
  wipePairKeys(crypto, keys)
  assert.deepEqual(new Set(secretsOf(keys)), new Set(['00'.repeat(32)]))
})
