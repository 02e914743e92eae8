import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import sodium from 'libsodium-wrappers'
import { realCrypto } from '../harness/seeded-crypto.ts'

const inputs = fc.record({
  key: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  nonce: fc.uint8Array({ minLength: 24, maxLength: 24 }),
  message: fc.oneof(fc.uint8Array({ maxLength: 1_500 }), fc.uint8Array({ maxLength: 70_000, size: 'max' })),
  associated: fc.uint8Array({ maxLength: 100 }),
})

test('the cipher with its own buffer encrypts as libsodium does, and decrypts it again', () => {
  fc.assert(
    fc.property(inputs, ({ key, nonce, message, associated }) => {
      const sealed = realCrypto.encrypt(key, nonce, message, associated)
      const expected = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        message,
        associated,
        null,
        nonce,
        key,
      )
      assert.deepEqual(sealed, expected)
      assert.deepEqual(realCrypto.decrypt(key, nonce, sealed, associated), message)
      // In place, as links do.
      const target = sealed.subarray(0, message.length)
      assert.equal(realCrypto.decryptInto(target, key, nonce, sealed, associated), true)
      assert.deepEqual(target, message)
    }),
    { numRuns: 60 },
  )
})

test('whatever is altered, nothing is decrypted and the target is unchanged', () => {
  const alter = (bytes: Uint8Array, at: number) =>
    bytes.map((byte, index) => (index === at % bytes.length ? byte ^ 1 : byte))
  fc.assert(
    fc.property(inputs, fc.nat(3), fc.nat(), ({ key, nonce, message, associated }, which, at) => {
      const sealed = realCrypto.encrypt(key, nonce, message, associated)
      const given = [key, nonce, sealed, associated] as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
      const input = given[which] as Uint8Array
      given[which] = input.length === 0 ? Uint8Array.of(1) : alter(input, at)
      const target = new Uint8Array(message.length).fill(7)
      assert.equal(realCrypto.decryptInto(target, ...given), false)
      assert.ok(target.every((byte) => byte === 7))
      assert.equal(realCrypto.decrypt(...given), null)
    }),
    { numRuns: 60 },
  )
})

test('bytes shorter than a MAC are not decrypted, and a wrong size of key, nonce or target is refused', () => {
  const [key, nonce, empty] = [new Uint8Array(32), new Uint8Array(24), new Uint8Array(0)]
  assert.equal(realCrypto.decrypt(key, nonce, new Uint8Array(15), empty), null)
  assert.equal(realCrypto.decryptInto(empty, key, nonce, new Uint8Array(15), empty), false)
  assert.throws(() => realCrypto.encrypt(key.subarray(1), nonce, empty, empty), RangeError)
  assert.throws(() => realCrypto.encrypt(key, nonce.subarray(1), empty, empty), RangeError)
  assert.throws(() => realCrypto.encryptInto(empty, key, nonce, empty, empty), RangeError)
  assert.throws(() => realCrypto.decryptInto(empty, key, nonce, new Uint8Array(17), empty), RangeError)
})
