import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toHex } from '../../src/base/bytes.ts'
import type { RequestLetter } from '../../src/letter/kinds.ts'
import { checkProof, proveMembership, roomKeys } from '../../src/letter/room.ts'
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
