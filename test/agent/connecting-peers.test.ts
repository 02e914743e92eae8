// Agents that connect through the host, without faults.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inWorld, nat } from '../harness/world.ts'

const easyHomes = {
  'no NAT': 'no NAT',
  'EIM+EIF': nat('EIM', 'EIF', { allocation: 1 }),
  'EIM+ADF': nat('EIM', 'ADF'),
  'EIM+APDF': nat('EIM', 'APDF', { allocation: 2 }),
} as const

type HomeName = keyof typeof easyHomes
const names = Object.keys(easyHomes) as HomeName[]

for (const [first, second] of names.flatMap((one) => names.map((other) => [one, other] as const))) {
  test(`an agent behind ${second} connects to an earlier one behind ${first}`, async () => {
    await inWorld({ seed: names.indexOf(first) * 10 + names.indexOf(second) }, async (world) => {
      const anna = world.player('anna', easyHomes[first])
      const ben = world.player('ben', easyHomes[second])
      await world.join(anna, ben)
      await world.until('both are linked', () => world.areLinked(anna, ben), 5_000)
      for (const player of [anna, ben]) {
        assert.equal(player.emitted('connected').length, 1)
        assert.equal(player.emitted('connected')[0]?.path.kind, 'direct')
        assert.equal(player.emitted('failed').length + player.emitted('disconnected').length, 0)
      }
      assert.deepEqual(
        ben.emitted('introduced'),
        [],
        'the agent that sent the request gets the peer in its reply',
      )
      assert.equal(anna.emitted('introduced', ben).length, 1)
    })
  })
}

test('two agents behind the same NAT connect inside the LAN', async () => {
  await inWorld({ seed: 7 }, async (world) => {
    const lan = world.lan(nat('EIM', 'APDF'))
    const [anna, ben] = [world.player('anna', lan), world.player('ben', lan)]
    await world.join(anna, ben)
    await world.until('both are linked', () => world.areLinked(anna, ben), 5_000)
    assert.equal(anna.emitted('connected')[0]?.path.kind, 'lan')
    assert.equal(ben.emitted('connected')[0]?.path.kind, 'lan')
  })
})

test('two agents behind the same symmetric NAT also connect inside the LAN', async () => {
  await inWorld({ seed: 8 }, async (world) => {
    const lan = world.lan(nat('APDM', 'APDF', { allocation: 1 }))
    const [anna, ben] = [world.player('anna', lan), world.player('ben', lan)]
    await world.join(anna, ben)
    await world.until('both are linked', () => world.areLinked(anna, ben), 5_000)
    assert.equal(ben.emitted('connected')[0]?.path.kind, 'lan')
  })
})

for (const names of [
  ['anna', 'ben', 'cleo'],
  ['anna', 'ben', 'cleo', 'dora', 'emil', 'finn', 'gina', 'hugo'],
]) {
  test(`${names.length} agents that start at the same moment are all linked with each other, once`, async () => {
    await inWorld({ seed: 9 }, async (world) => {
      const players = names.map((name) => world.player(name))
      await world.finish(Promise.all(players.map((player) => player.start())))
      await world.until('all are linked', () => world.areLinked(...players))
      await world.pass(180_000)
      assert.ok(world.areLinked(...players))
      for (const player of players) {
        assert.equal(player.emitted('connected').length, names.length - 1)
        assert.deepEqual(player.emitted('disconnected'), [])
        assert.deepEqual(player.emitted('failed'), [])
      }
    })
  })
}

test('the first agent gets an empty reply, emits waiting once, and is introduced to a later agent', async () => {
  await inWorld({ seed: 10 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna)
    assert.deepEqual(
      anna.emitted('replied').map(({ peers }) => peers),
      [0],
    )
    await world.pass(3_600_000)
    assert.equal(anna.emitted('waiting').length, 1)
    assert.equal(anna.emitted('requested').length, 1)
    await world.join(ben)
    await world.until('both are linked', () => world.areLinked(anna, ben), 5_000)
    const order = anna.events.map(({ event }) => event).filter((event) => event !== 'nat')
    assert.deepEqual(order.slice(order.indexOf('waiting')), [
      'waiting',
      'introduced',
      'punching',
      'connected',
    ])
  })
})

test('a blocked player is neither tried nor accepted, and no event mentions it', async () => {
  await inWorld({ seed: 11 }, async (world) => {
    const ben = world.player('ben')
    const anna = world.player('anna', 'no NAT', { blocked: [ben] })
    await world.join(anna, ben)
    await world.until('ben has tried', () => ben.emitted('failed', anna).length === 1, 150_000)
    assert.deepEqual(
      anna.events.filter((event) => 'peer' in event),
      [],
    )

    const cleo = world.player('cleo', 'no NAT', { blocked: [anna] })
    await world.join(cleo)
    await world.until('cleo meets ben', () => world.areLinked(ben, cleo), 5_000)
    assert.deepEqual(cleo.emitted('punching', anna), [], 'nor one that a reply offers')
  })
})

test('two agents behind symmetric NATs with random ports fail at once with a reason and advice, and never punch', async () => {
  await inWorld({ seed: 12 }, async (world) => {
    const hard = nat('APDM', 'APDF', { allocation: 'random' })
    const [anna, ben] = [world.player('anna', hard), world.player('ben', hard)]
    await world.join(anna, ben)
    await world.until(
      'both know',
      () => [anna, ben].every((player) => player.emitted('failed').length > 0),
      2_000,
    )
    for (const player of [anna, ben]) {
      assert.match(player.emitted('failed')[0]?.reason ?? '', /different port for every destination/)
      assert.match(player.emitted('failed')[0]?.advice ?? '', /forward a UDP port/)
      assert.deepEqual(player.emitted('punching'), [])
      assert.equal(player.events.at(-1)?.event, 'waiting')
    }
    await world.until('the agent that sent the request reports it', () => world.accepted('failure') === 1)
    await world.pass(60_000)
    assert.equal(world.accepted('failure'), 1, 'an agent that was only introduced reports no failure')
  })
})

test('a friend is tried first', async () => {
  await inWorld({ seed: 13 }, async (world) => {
    const [ben, cleo] = [world.player('ben'), world.player('cleo')]
    const anna = world.player('anna', 'no NAT', { friends: [ben], settings: { links: 1 } })
    await world.join(ben, cleo, anna)
    await world.until('anna meets ben', () => world.areLinked(anna, ben), 5_000)
    assert.deepEqual(
      anna.emitted('punching').map(({ peer }) => peer.name),
      ['ben'],
    )
  })
})
