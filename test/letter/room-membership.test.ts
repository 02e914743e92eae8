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
import * as cast from './cast.ts'
import { counting } from './cast.ts'
import { goldenRoom } from './golden.ts'

const { crypto } = cast

test('a room secret always yields the same tag and link secret', () => {
  assert.equal(toHex(cast.room.tag), goldenRoom.tag)
  assert.equal(toHex(cast.room.linkSecret), goldenRoom.linkSecret)
})

test('another secret yields another room', () => {
  const other = roomKeys(crypto, new Uint8Array(32).fill(9))
  assert.notEqual(toHex(other.tag), goldenRoom.tag)
  assert.notEqual(toHex(other.linkSecret), goldenRoom.linkSecret)
})

test('the proof of a member holds', () => {
  assert.equal(checkProof(crypto, cast.request), true)
})

test('a proof holds for one sender, host, letter, session and room only', () => {
  const { session } = cast.request
  const changes: readonly Partial<RequestLetter>[] = [
    { from: cast.ben.publicKey },
    { to: cast.otherHost.publicKey },
    { id: counting(0x70, 16) },
    { session: { ...session, id: counting(0x70, 16) } },
    { session: { ...session, publicKey: cast.benSession.publicKey } },
    { room: roomKeys(crypto, new Uint8Array(32).fill(9)).tag },
    { room: new Uint8Array(32) },
    { proof: new Uint8Array(64) },
  ]
  for (const change of changes) assert.equal(checkProof(crypto, { ...cast.request, ...change }), false)
})

test('whoever knows only the tag cannot prove membership', () => {
  const stranger = { ...cast.room, proofKeyPair: crypto.signKeyPair() }
  const proof = proveMembership(crypto, stranger, cast.request)
  assert.equal(checkProof(crypto, { ...cast.request, proof }), false)
})

test('a grant has the signature it always had', () => {
  assert.equal(toHex(cast.pass.grant.signature), goldenRoom.grantSignature)
})

test('whoever came by an invite shares the link secret, and cannot prove to have the room secret', () => {
  const { grant, ...withoutGrant } = cast.grantedRequest
  assert.deepEqual(cast.guest.linkSecret, cast.room.linkSecret)
  assert.equal(checkProof(crypto, cast.grantedRequest), true)
  assert.equal(checkGrant(crypto, cast.room.tag, cast.host.publicKey, cast.pass.grant), true)
  assert.equal(checkProof(crypto, withoutGrant), false)
  assert.equal(JSON.stringify(cast.pass).includes(JSON.stringify(cast.roomSecret)), false)
})

test('a grant holds for the room, the host and the terms it was made for only', () => {
  const { grant } = cast.pass
  const { until: _, ...endless } = grant
  const changes: readonly Grant[] = [
    { ...grant, key: cast.anna.publicKey },
    { ...grant, host: cast.otherHost.publicKey },
    { ...grant, until: (grant.until ?? 0) + 1 },
    endless,
    { ...grant, uses: 6 },
    { ...grant, signature: new Uint8Array(64) },
  ]
  for (const change of changes)
    assert.equal(checkGrant(crypto, cast.room.tag, cast.host.publicKey, change), false)
  const other = roomKeys(crypto, new Uint8Array(32).fill(9)).tag
  assert.equal(checkGrant(crypto, other, cast.host.publicKey, grant), false)
  assert.equal(checkGrant(crypto, cast.room.tag, cast.otherHost.publicKey, grant), false)
})

test('an invite that anybody else signs is not one of the host', () => {
  const forged = makePass(crypto, cast.room, cast.ben, new Uint8Array(32).fill(9), {})
  const keys = memberKeys(crypto, {
    pass: { ...forged, grant: { ...forged.grant, host: cast.host.publicKey } },
  })
  assert.ok(keys.grant)
  assert.equal(checkGrant(crypto, cast.room.tag, cast.host.publicKey, keys.grant), false)
})
