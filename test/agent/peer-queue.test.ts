// Which peer is tried next, and when a new request is worth a mail.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SessionKeys } from '../../src/agent/letters/session-keys.ts'
import { PeerQueue } from '../../src/agent/peers/peer-queue.ts'
import { unknownNat } from '../../src/base/nat-profile.ts'
import type { OfferedPeer } from '../../src/letter/letter-types.ts'
import { seededCrypto } from '../harness/seeded-crypto.ts'

const session = new SessionKeys(seededCrypto(1)).create()
const freshMs = 1_000

function peer(number: number, sessionNumber = number): OfferedPeer {
  return {
    id: new Uint8Array(32).fill(number),
    nickname: String(number),
    session: { id: new Uint8Array(16).fill(sessionNumber), publicKey: new Uint8Array(32) },
    candidates: [],
    nat: unknownNat,
    sameNat: false,
    flagged: false,
    ageMs: 0,
  }
}

function next(queue: PeerQueue, now: number, isUsable = () => true): string {
  const next = queue.next(now, isUsable)
  return next.next === 'try' ? next.waiting.peer.nickname : next.next
}

test('peers are tried in the order of the offer, newer offers first, each peer once', () => {
  const queue = new PeerQueue(freshMs)
  queue.offer([peer(1), peer(2)], session, 0)
  queue.offer([peer(3), peer(2, 20)], session, 10)
  assert.deepEqual(
    [1, 2, 3, 4].map(() => next(queue, 20)),
    ['3', '2', '1', 'none'],
  )
})

test('a peer that was introduced too long ago is not tried and needs a new request', () => {
  const queue = new PeerQueue(freshMs)
  queue.offer([peer(1)], session, 0)
  assert.equal(next(queue, freshMs + 1), 'request-again')
  assert.equal(next(queue, freshMs + 1), 'none')
})

test('peers that have all failed before are not worth a new request', () => {
  const queue = new PeerQueue(freshMs)
  queue.noteFailure(peer(1))
  queue.offer([peer(1)], session, 0)
  assert.equal(next(queue, freshMs + 1), 'none')
  queue.offer([peer(1), peer(2)], session, freshMs + 1)
  assert.deepEqual(
    [1, 2].map(() => next(queue, freshMs + 2)),
    ['2', '1'],
    'and they come last',
  )
  queue.offer([peer(1, 11)], session, 0)
  assert.equal(
    next(queue, freshMs + 1),
    'request-again',
    'but a peer with a new session counts as not failed',
  )
})

test('a withdrawn peer is not tried any more', () => {
  const queue = new PeerQueue(freshMs)
  queue.offer([peer(1), peer(2)], session, 0)
  queue.withdraw(peer(1).id)
  assert.deepEqual(
    [1, 2].map(() => next(queue, 0)),
    ['2', 'none'],
  )
})

test('at most 64 peers wait', () => {
  const queue = new PeerQueue(freshMs)
  for (let reply = 0; reply < 20; reply++) {
    queue.offer(
      Array.from({ length: 10 }, (_, index) => peer(reply * 10 + index)),
      session,
      0,
    )
  }
  let tried = 0
  while (next(queue, 0) !== 'none') tried++
  assert.equal(tried, 64)
})

test('a peer is not tried with a session whose key was wiped', () => {
  const queue = new PeerQueue(freshMs)
  queue.offer([peer(1)], session, 0)
  assert.equal(
    next(queue, 0, () => false),
    'request-again',
  )
})
