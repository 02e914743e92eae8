// Our own sessions.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maxSessions, SessionKeys } from '../../src/agent/letters/session-keys.ts'
import { seededCrypto } from '../harness/seeded-crypto.ts'

const zero = new Uint8Array(32)

test('only the newest sessions are kept, and the keys of older ones are wiped', () => {
  const sessions = new SessionKeys(seededCrypto(1))
  const made = Array.from({ length: 10 }, (_, now) => sessions.create(now))
  const kept = made.slice(-maxSessions)
  for (const session of made) {
    const isKept = kept.includes(session)
    assert.equal(sessions.has(session), isKept)
    assert.equal(sessions.find(session.id), isKept ? session : null)
    assert.equal(Buffer.compare(session.keyPair.secretKey, zero) !== 0, isKept)
  }
  assert.equal(sessions.newest, made.at(-1))
  assert.equal(sessions.newest?.requestedAt, 9)
})

test('letters are tried with the newest key first', () => {
  const sessions = new SessionKeys(seededCrypto(2))
  const made = Array.from({ length: maxSessions }, () => sessions.create())
  assert.deepEqual(
    sessions.keyPairs,
    made.toReversed().map(({ keyPair }) => keyPair),
  )
})

test('every session has its own ID and key', () => {
  const sessions = new SessionKeys(seededCrypto(3))
  const made = Array.from({ length: 50 }, () => sessions.create())
  assert.equal(new Set(made.map(({ id }) => Buffer.from(id).toString('hex'))).size, 50)
  assert.equal(new Set(made.map(({ publicKey }) => Buffer.from(publicKey).toString('hex'))).size, 50)
})

test('after wiping, no session is left and every key is zero', () => {
  const sessions = new SessionKeys(seededCrypto(4))
  const made = [sessions.create(), sessions.create()]
  sessions.wipe()
  assert.equal(sessions.newest, null)
  assert.deepEqual(sessions.keyPairs, [])
  for (const { id, keyPair } of made) {
    assert.equal(sessions.find(id), null)
    assert.deepEqual(keyPair.secretKey, zero)
  }
})
