// Agents that connect although mails are slow, out of order, duplicated or lost, or the mail server is down for a while.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goodMailConditions, inWorld } from '../harness/world.ts'

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`agents connect although mails take 2 to 60 s, overtake each other and arrive twice (seed ${seed})`, async () => {
    await inWorld({ seed, loss: 0.02 }, async (world) => {
      world.post.weather = { ...goodMailConditions, delayMs: [2_000, 60_000], doubled: 0.3, unhinted: 0.2 }
      const players = ['anna', 'ben', 'cleo'].map((name) => world.player(name))
      await world.finish(Promise.all(players.map((player) => player.start())))
      await world.until('all are linked', () => world.areLinked(...players), 900_000)
      await world.pass(600_000)
      assert.ok(world.areLinked(...players), world.eventLog())
      assert.deepEqual(
        players.flatMap((player) => player.emitted('disconnected')),
        [],
      )
      assert.deepEqual(
        players.map((player) => player.liveLinks),
        [2, 2, 2],
      )
    })
  })
}

test('a request without a reply is repeated at growing intervals', async () => {
  await inWorld({ seed: 10 }, async (world) => {
    world.post.weather = { ...goodMailConditions, lost: 1 }
    const anna = world.player('anna')
    await world.finish(anna.start())
    await world.pass(3_600_000)
    const times = anna.emitted('requested').map(({ at }) => at)
    const gaps = times.slice(1).map((at, index) => Math.round((at - (times[index] ?? 0)) / 1_000))
    assert.deepEqual(gaps, [60, 120, 240, 480, 600, 600, 600, 600])
    assert.equal(anna.emitted('unanswered').length, gaps.length)
    world.post.weather = goodMailConditions
    await world.until('an answer comes at last', () => anna.emitted('replied').length === 1, 610_000)
  })
})

test('after an outage of its mail server, an agent sends one request and not all that failed', async () => {
  await inWorld({ seed: 11 }, async (world) => {
    const anna = world.player('anna')
    const starting = anna.start()
    world.post.setDown(anna.address, true)
    await world.finish(starting)
    await world.pass(1_800_000)
    assert.ok(anna.emitted('unsent').length > 10)
    assert.ok(anna.emitted('requested').length > 4)
    assert.equal(world.post.taken.length, 0)
    world.post.setDown(anna.address, false)
    await world.until('the answer comes', () => anna.emitted('replied').length === 1, 65_000)
    assert.equal(world.accepted('request'), 1)
  })
})

test('a mailbox that failed for a while is read again after it recovers', async () => {
  await inWorld({ seed: 12 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna)
    world.post.setDown(anna.address, true)
    await world.join(ben)
    await world.pass(30_000)
    assert.deepEqual(anna.emitted('introduced'), [])
    world.post.setDown(anna.address, false)
    await world.until('they meet', () => world.areLinked(anna, ben), 10_000)
    assert.deepEqual(
      anna.emitted('mailbox').map(({ state }) => state),
      ['connected', 'disconnected', 'connected'],
    )
  })
})

test('a request refused for good emits an event and is repeated later', async () => {
  await inWorld({ seed: 13 }, async (world) => {
    world.post.refused.add('host@mail.test')
    const anna = world.player('anna')
    await world.finish(anna.start())
    await world.pass(30_000)
    assert.deepEqual(
      anna.emitted('unsent').map(({ letter, reason }) => [letter, reason]),
      [['request', '550 no such user']],
    )
    world.post.refused.clear()
    await world.until('the answer comes', () => anna.emitted('replied').length === 1, 90_000)
  })
})

test('of two agents on one mailbox, neither removes letters of the other', async () => {
  await inWorld({ seed: 14 }, async (world) => {
    const anna = world.player('anna')
    const ben = world.player('ben', undefined, { address: anna.address })
    await world.finish(Promise.all([anna.start(), ben.start()]))
    await world.until('both are linked', () => world.areLinked(anna, ben), 90_000)
    assert.deepEqual([...anna.emitted('letter'), ...ben.emitted('letter')], [])
    assert.equal(world.post.mailsOf(anna.address).length, 0)
  })
})

test('a host that was stopped answers the requests that came meanwhile', async () => {
  await inWorld({ seed: 15 }, async (world) => {
    await world.stopHost()
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.finish(Promise.all([anna.start(), ben.start()]))
    await world.pass(20_000)
    await world.startHost()
    await world.until('they meet', () => world.areLinked(anna, ben), 30_000)
  })
})
