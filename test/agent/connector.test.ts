// Two agents with more than one link between them, or with repeated letters about each other.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crypto, introduce, makeSides, sessionPair, stopBoth } from './two-sides.ts'

for (const whoCloses of ['first', 'second'] as const) {
  test(`two links that open in opposite order on the two sides become one when the ${whoCloses} side closes links`, async () => {
    const { clock, first, second } = makeSides(whoCloses)
    const one = sessionPair(first, second, true)
    introduce(first, second, one)
    const two = sessionPair(first, second, false)
    introduce(first, second, two)
    // Each opener considers its link open, but the acknowledgement does not reach the other side.
    second.holdsOther.add(one.tag)
    first.holdsOther.add(two.tag)
    await clock.advance(1_000)
    assert.deepEqual([first.emitted('connected'), second.emitted('connected')], [1, 1])
    for (const side of [first, second]) {
      side.holdsOther.clear()
      side.held.clear()
    }
    await clock.advance(4_000)
    assert.deepEqual([first.emitted('connected'), second.emitted('connected')], [2, 2])
    for (let round = 0; round < 90; round++) {
      await clock.advance(1_000)
      first.sendText('to second')
      second.sendText('to first')
    }
    await clock.advance(100)
    assert.equal(first.received.length, 90, 'no datagram is lost when the link changes')
    assert.equal(second.received.length, 90)
    assert.equal(first.emitted('disconnected') + second.emitted('disconnected'), 0)
    await stopBoth(clock, first, second)
    assert.deepEqual([first.emitted('disconnected'), second.emitted('disconnected')], [1, 1])
  })
}

test('a newer link replaces the older one at once', async () => {
  const { clock, first, second } = makeSides('first')
  introduce(first, second, sessionPair(first, second, true))
  await clock.advance(1_000)
  const newer = sessionPair(first, second, true)
  introduce(first, second, newer)
  await clock.advance(500)
  assert.deepEqual([first.emitted('connected'), second.emitted('connected')], [2, 2])
  first.sendText('on the newer')
  await clock.advance(100)
  assert.deepEqual(second.received, ['on the newer'])
  await stopBoth(clock, first, second)
})

test('a repeated or late letter starts no second connection of the same sessions', async () => {
  const { clock, first, second } = makeSides('first')
  const pair = sessionPair(first, second, true)
  introduce(first, second, pair)
  introduce(first, second, pair)
  await clock.advance(1_000)
  assert.deepEqual([first.emitted('punching'), first.emitted('connected')], [1, 1])
  const stopped = second.connector.stop(1_500)
  await clock.advance(2_000)
  await stopped
  assert.equal(first.emitted('disconnected'), 1)
  first.connector.handleReply([second.offer(pair.theirs)], pair.mine)
  first.connector.handleIntroduction([second.offer(pair.theirs)], pair.mine)
  assert.equal(first.emitted('punching'), 1)
  await stopBoth(clock, first, second)
})

test('a peer with an invalid session key is skipped', async () => {
  const { clock, first, second } = makeSides('first')
  const { mine, theirs } = sessionPair(first, second, true)
  const offer = second.offer(theirs)
  first.connector.handleReply(
    [{ ...offer, session: { ...offer.session, publicKey: new Uint8Array(32) } }],
    mine,
  )
  assert.deepEqual(
    first.events.map(({ event }) => event),
    ['waiting'],
  )
  await stopBoth(clock, first, second)
})

test('peers are not tried with a session whose key was wiped', async () => {
  const { clock, first, second } = makeSides('first')
  const { mine, theirs } = sessionPair(first, second, true)
  for (let newer = 0; newer < 3; newer++) first.sessions.create()
  first.connector.handleReply([second.offer(theirs)], mine)
  assert.deepEqual(first.events, [], 'not tried, because a new request is needed')
  await stopBoth(clock, first, second)
})

test('there are at most 128 connections at once, no matter which side starts them', async () => {
  const { clock, first, second } = makeSides('first')
  const mine = first.sessions.create()
  const theirs = second.sessions.create()
  const strangers = Array.from({ length: 200 }, () => {
    const [id, session] = [crypto.signKeyPair().publicKey, crypto.boxKeyPair()]
    return {
      ...second.offer(theirs),
      id,
      session: { id: crypto.randomBytes(16), publicKey: session.publicKey },
    }
  })
  first.connector.handleIntroduction(strangers, mine)
  assert.equal(first.emitted('punching'), 128)
  await stopBoth(clock, first, second)
})

test('when a link opens, another attempt with the same peer ends without an event and sends nothing more', async () => {
  const { clock, first, second } = makeSides('first')
  const [open, idle] = [sessionPair(first, second, true), sessionPair(first, second, true)]
  first.connector.handleIntroduction([second.offer(idle.theirs)], idle.mine)
  introduce(first, second, open)
  await clock.advance(1_000)
  assert.equal(first.emitted('connected'), 1)
  const { checks } = first
  await clock.advance(90_000)
  assert.ok(first.checks <= checks + 2, `${first.checks - checks} more checks`)
  assert.equal(first.emitted('failed'), 0)
  await stopBoth(clock, first, second)
})

test('the failure of a peer from a reply is reported, that of an introduced peer is not', async () => {
  const { clock, first, second } = makeSides('first')
  const [offered, introduced] = [sessionPair(first, second, true), sessionPair(first, second, true)]
  first.connector.handleIntroduction([second.offer(introduced.theirs)], introduced.mine)
  await clock.advance(61_000)
  assert.deepEqual([first.emitted('failed'), first.failures], [1, []])
  first.connector.handleReply([second.offer(offered.theirs)], offered.mine)
  await clock.advance(61_000)
  assert.deepEqual([first.emitted('failed'), first.failures], [2, ['no-answer']])
  assert.deepEqual(
    first.events.map(({ event }) => event),
    ['introduced', 'punching', 'failed', 'waiting', 'punching', 'failed', 'waiting'],
  )
  await stopBoth(clock, first, second)
})
