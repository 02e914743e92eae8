import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Revocation } from '../../src/letter/letter-types.ts'
import { InviteRevocations } from '../../src/store/invite-revocations.ts'
import { Invites } from '../../src/store/invites.ts'
import { PeerTable } from '../../src/store/peer-table.ts'
import { newEntry, openMemory, roomTag, userId } from './entries.ts'

const [maker, other] = [userId(900), userId(901)]
const room = roomTag(1)
const dayMs = 24 * 3_600_000

function revocation(key: number, changes: Partial<Revocation> = {}): Revocation {
  return { key: userId(key), host: maker, at: 50, signature: new Uint8Array(64).fill(key), ...changes }
}

function open() {
  const database = openMemory()
  return {
    invites: new Invites(database),
    revocations: new InviteRevocations(database),
    peers: new PeerTable(database, { capacity: 100, expiryMs: 1_000 }),
  }
}

test('a revocation ends the invite of the same host, and only entries of that invite are removed', () => {
  const { invites, revocations, peers } = open()
  for (const key of [1, 2]) invites.add(room, { key: userId(key), host: maker }, '', 10)
  for (const key of [1, 2]) {
    const inviteId = invites.check(room, userId(key), userId(10), 20)?.id as number
    peers.upsert(room, newEntry(key, 20, { inviteId }), 20)
  }
  assert.ok(revocations.add(revocation(1)))
  assert.equal(invites.check(room, userId(1), userId(10), 60)?.state, 'revoked')
  assert.equal(invites.check(room, userId(2), userId(10), 60)?.state, 'open')
  assert.deepEqual(
    peers.recent(room, userId(99), 10, 60).map(({ nickname }) => nickname),
    ['agent 2'],
  )
  assert.equal(revocations.add(revocation(1)), false)
})

test('a revocation by another host does not end an invite, whichever is stored first', () => {
  const { invites, revocations } = open()
  revocations.add(revocation(1, { host: other }))
  invites.add(room, { key: userId(1), host: maker }, '', 10)
  assert.equal(invites.check(room, userId(1), userId(10), 60)?.state, 'open')
  invites.add(room, { key: userId(2), host: maker }, '', 10)
  revocations.add(revocation(2, { host: other }))
  assert.equal(invites.check(room, userId(2), userId(10), 60)?.state, 'open')
})

test('an invite that is stored after its revocation is revoked', () => {
  const { invites, revocations } = open()
  revocations.add(revocation(1))
  invites.add(room, { key: userId(1), host: maker }, '', 10)
  assert.equal(invites.check(room, userId(1), userId(10), 60)?.state, 'revoked')
})

test('revocations that were never sent are due first, and others only when they were sent long ago', () => {
  const { revocations } = open()
  const [first, second] = [revocation(1), revocation(2, { until: 5_000 })]
  for (const one of [first, second]) revocations.add(one)
  revocations.markSent([first], 100)
  assert.deepEqual(revocations.due(100, 10), [second])
  assert.deepEqual(revocations.due(101, 10), [second, first])
  assert.deepEqual(revocations.due(101, 1), [second])
  assert.equal(revocations.latest(10).length, 2)
})

test('a revocation is deleted 90 days after the end of the invite, and never if the invite has no end', () => {
  const { revocations } = open()
  revocations.add(revocation(1))
  revocations.add(revocation(2, { until: 1_000 }))
  assert.equal(revocations.forgetEnded(1_000 + 90 * dayMs - 1, 10), 0)
  assert.equal(revocations.forgetEnded(1_000 + 90 * dayMs, 10), 1)
  assert.deepEqual(revocations.latest(10), [revocation(1)])
})
