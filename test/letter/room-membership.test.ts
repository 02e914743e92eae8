import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toHex } from '../../src/base/bytes.ts'
import type { Grant, RequestLetter } from '../../src/letter/letter-types.ts'
import {
  checkGrant,
  checkProof,
  makePass,
  memberKeys,
  proveMembership,
  roomKeys,
} from '../../src/letter/room-membership.ts'
import * as fixtures from './fixtures.ts'
import { counting } from './fixtures.ts'
import { goldenRoom } from './golden.ts'

const { crypto } = fixtures

test('a room secret always yields the same tag and link secret', () => {
  assert.equal(toHex(fixtures.room.tag), goldenRoom.tag)
  assert.equal(toHex(fixtures.room.linkSecret), goldenRoom.linkSecret)
})

test('another secret yields another room', () => {
  const other = roomKeys(crypto, new Uint8Array(32).fill(9))
  assert.notEqual(toHex(other.tag), goldenRoom.tag)
  assert.notEqual(toHex(other.linkSecret), goldenRoom.linkSecret)
})

test('the proof of a member is valid', () => {
  assert.equal(checkProof(crypto, fixtures.request), true)
})

test('a proof is valid for one sender, host, letter, session and room only', () => {
  const { session } = fixtures.request
  const changes: readonly Partial<RequestLetter>[] = [
    { from: fixtures.ben.publicKey },
    { to: fixtures.otherHost.publicKey },
    { id: counting(0x70, 16) },
    { session: { ...session, id: counting(0x70, 16) } },
    { session: { ...session, publicKey: fixtures.benSession.publicKey } },
    { room: roomKeys(crypto, new Uint8Array(32).fill(9)).tag },
    { room: new Uint8Array(32) },
    { proof: new Uint8Array(64) },
  ]
  for (const change of changes) assert.equal(checkProof(crypto, { ...fixtures.request, ...change }), false)
})

test('a stranger who knows only the tag cannot prove membership', () => {
  const stranger = { ...fixtures.room, proofKeyPair: crypto.signKeyPair() }
  const proof = proveMembership(crypto, stranger, fixtures.request)
  assert.equal(checkProof(crypto, { ...fixtures.request, proof }), false)
})

test('a grant has its golden signature', () => {
  assert.equal(toHex(fixtures.pass.grant.signature), goldenRoom.grantSignature)
})

test('a member with an invite has the link secret, but no proof by the room secret', () => {
  const { grant, ...withoutGrant } = fixtures.grantedRequest
  assert.deepEqual(fixtures.guest.linkSecret, fixtures.room.linkSecret)
  assert.equal(checkProof(crypto, fixtures.grantedRequest), true)
  assert.equal(checkGrant(crypto, fixtures.room.tag, fixtures.host.publicKey, fixtures.pass.grant), true)
  assert.equal(checkProof(crypto, withoutGrant), false)
  assert.equal(JSON.stringify(fixtures.pass).includes(JSON.stringify(fixtures.roomSecret)), false)
})

test('a grant is valid only for its room, its host and its terms', () => {
  const { grant } = fixtures.pass
  const { until: _, ...endless } = grant
  const changes: readonly Grant[] = [
    { ...grant, key: fixtures.anna.publicKey },
    { ...grant, host: fixtures.otherHost.publicKey },
    { ...grant, until: (grant.until ?? 0) + 1 },
    endless,
    { ...grant, uses: 6 },
    { ...grant, signature: new Uint8Array(64) },
  ]
  for (const change of changes)
    assert.equal(checkGrant(crypto, fixtures.room.tag, fixtures.host.publicKey, change), false)
  const other = roomKeys(crypto, new Uint8Array(32).fill(9)).tag
  assert.equal(checkGrant(crypto, other, fixtures.host.publicKey, grant), false)
  assert.equal(checkGrant(crypto, fixtures.room.tag, fixtures.otherHost.publicKey, grant), false)
})

test('a grant that somebody else signed is not valid for the host', () => {
  const forged = makePass(crypto, fixtures.room, fixtures.ben, new Uint8Array(32).fill(9), {})
  const keys = memberKeys(crypto, {
    pass: { ...forged, grant: { ...forged.grant, host: fixtures.host.publicKey } },
  })
  assert.ok(keys.grant)
  assert.equal(checkGrant(crypto, fixtures.room.tag, fixtures.host.publicKey, keys.grant), false)
})
