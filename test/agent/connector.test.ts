// Meetings of two agents that have more than one link between them, or letters about each other too many.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crypto, introduce, makeSides, sessionPair, stopBoth } from './two-sides.ts'

for (const whoCloses of ['first', 'second'] as const) {
  test(`two links that open in opposite order on the two sides end as one, if the ${whoCloses} side closes`, async () => {
    const { clock, first, second } = makeSides(whoCloses)
    const one = sessionPair(first, second, true)
    introduce(first, second, one)
    const two = sessionPair(first, second, false)
    introduce(first, second, two)
    // Each opener believes its link open; the acknowledgement does not reach the other side.
    second.holdsUpOther.add(one.tag)
    first.holdsUpOther.add(two.tag)
    await clock.advance(1_000)
    assert.deepEqual([first.told('connected'), second.told('connected')], [1, 1])
    for (const side of [first, second]) {
      side.holdsUpOther.clear()
      side.held.clear()
    }
    await clock.advance(4_000)
    assert.deepEqual([first.told('connected'), second.told('connected')], [2, 2])
    for (let round = 0; round < 90; round++) {
      await clock.advance(1_000)
      first.say('to second')
      second.say('to first')
    }
    await clock.advance(100)
    assert.equal(first.received.length, 90, 'no datagram is lost on the way from one link to the other')
    assert.equal(second.received.length, 90)
    assert.equal(first.told('disconnected') + second.told('disconnected'), 0)
    await stopBoth(clock, first, second)
    assert.deepEqual([first.told('disconnected'), second.told('disconnected')], [1, 1])
  })
}

test('a newer link takes over at once', async () => {
  const { clock, first, second } = makeSides('first')
  introduce(first, second, sessionPair(first, second, true))
  await clock.advance(1_000)
  const newer = sessionPair(first, second, true)
  introduce(first, second, newer)
  await clock.advance(500)
  assert.deepEqual([first.told('connected'), second.told('connected')], [2, 2])
  first.say('on the newer')
  await clock.advance(100)
  assert.deepEqual(second.received, ['on the newer'])
  await stopBoth(clock, first, second)
})

test('a letter that comes again, or after the end, starts no second connection of the same sessions', async () => {
  const { clock, first, second } = makeSides('first')
  const pair = sessionPair(first, second, true)
  introduce(first, second, pair)
  introduce(first, second, pair)
  await clock.advance(1_000)
  assert.deepEqual([first.told('punching'), first.told('connected')], [1, 1])
  const stopped = second.connector.stop(1_500)
  await clock.advance(2_000)
  await stopped
  assert.equal(first.told('disconnected'), 1)
  first.connector.handleReply([second.offer(pair.theirs)], pair.mine)
  first.connector.handleIntroduction([second.offer(pair.theirs)], pair.mine)
  assert.equal(first.told('punching'), 1)
  await stopBoth(clock, first, second)
})

test('a peer with an unusable session key is passed over', async () => {
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

test('peers whose turn comes after our own session was wiped are not tried with a key everybody knows', async () => {
  const { clock, first, second } = makeSides('first')
  const { mine, theirs } = sessionPair(first, second, true)
  for (let newer = 0; newer < 3; newer++) first.sessions.create()
  first.connector.handleReply([second.offer(theirs)], mine)
  assert.deepEqual(first.events, [], 'not tried; asking again is what helps')
  await stopBoth(clock, first, second)
})

test('at most 128 connections go on at once, whoever begins them', async () => {
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
  assert.equal(first.told('punching'), 128)
  await stopBoth(clock, first, second)
})

test('an attempt that a link overtakes ends quietly and sends nothing more', async () => {
  const { clock, first, second } = makeSides('first')
  const [open, idle] = [sessionPair(first, second, true), sessionPair(first, second, true)]
  first.connector.handleIntroduction([second.offer(idle.theirs)], idle.mine)
  introduce(first, second, open)
  await clock.advance(1_000)
  assert.equal(first.told('connected'), 1)
  const { checks } = first
  await clock.advance(90_000)
  assert.ok(first.checks <= checks + 2, `${first.checks - checks} more checks`)
  assert.equal(first.told('failed'), 0)
  await stopBoth(clock, first, second)
})

test('who offered the peer decides whether its failure is reported: a reply does, an introduction does not', async () => {
  const { clock, first, second } = makeSides('first')
  const [asked, told] = [sessionPair(first, second, true), sessionPair(first, second, true)]
  first.connector.handleIntroduction([second.offer(told.theirs)], told.mine)
  await clock.advance(61_000)
  assert.deepEqual([first.told('failed'), first.failures], [1, []])
  first.connector.handleReply([second.offer(asked.theirs)], asked.mine)
  await clock.advance(61_000)
  assert.deepEqual([first.told('failed'), first.failures], [2, ['no-answer']])
  assert.deepEqual(
    first.events.map(({ event }) => event),
    ['introduced', 'punching', 'failed', 'waiting', 'punching', 'failed', 'waiting'],
  )
  await stopBoth(clock, first, second)
})
