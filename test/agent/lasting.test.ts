// Links that stay open when one side changes its address or its network.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goodMailConditions, inWorld, nat, type Player, type World } from '../harness/world.ts'

const quick = 5_000
const noMail = { ...goodMailConditions, lost: 1 }

async function linked(world: World, ...players: readonly [Player, Player]): Promise<void> {
  for (const player of players) player.computer.addressCheckMs = 2_000
  await world.join(...players)
  await world.until('they meet', () => world.areLinked(...players))
  // Wait until all punch attempts have ended.
  await world.pass(40_000)
  for (const player of players) player.clearEvents()
}

/** Both sides still use the link they had: no event shows another one. */
function assertSameLink(...players: readonly Player[]): void {
  for (const player of players) {
    assert.deepEqual(player.emitted('disconnected'), [])
    assert.deepEqual(player.emitted('connected'), [])
    assert.ok(player.emitted('disturbed').length === player.emitted('recovered').length)
  }
}

const reachable = {
  'has no NAT': 'no NAT',
  'is behind a full cone': nat('EIM', 'EIF'),
} as const

for (const [where, home] of Object.entries(reachable)) {
  test(`when the public address changes, the link with a peer that ${where} continues within a keepalive, without mail`, async () => {
    await inWorld({ seed: 21 }, async (world) => {
      const annas = world.home(nat('EIM', 'APDF'))
      const [anna, ben] = [world.player('anna', annas.lan), world.player('ben', home)]
      await linked(world, anna, ben)
      world.post.weather = noMail
      const address = world.newPublicAddress()
      annas.nat.changeAddresses([address])
      await world.until('ben sends to the new address', () => ben.emitted('path').length === 1, 8_000 + 1_000)
      assert.match(ben.emitted('path')[0]?.path.remote ?? '', new RegExp(`^${address}:`))
      await world.pass(quick)
      assertSameLink(anna, ben)
    })
  })
}

test('when only the port changes, the link with a peer behind address-dependent filtering continues, without mail', async () => {
  await inWorld({ seed: 28 }, async (world) => {
    const annas = world.home(nat('EIM', 'APDF', { allocation: 'random' }))
    const [anna, ben] = [world.player('anna', annas.lan), world.player('ben', nat('EIM', 'ADF'))]
    await linked(world, anna, ben)
    world.post.weather = noMail
    annas.nat.forgetMappings()
    await world.until('ben sends to the new port', () => ben.emitted('path').length === 1, 8_000 + 1_000)
    await world.pass(quick)
    assertSameLink(anna, ben)
  })
})

test('when an agent changes its network, its link continues within 5 s and the host gets a new request', async () => {
  await inWorld({ seed: 22 }, async (world) => {
    const [anna, ben] = [world.player('anna', nat('EIM', 'APDF')), world.player('ben', 'no NAT')]
    await linked(world, anna, ben)
    anna.computer.moveTo(world.lan(nat('EIM', 'APDF')), '192.168.7.7')
    await world.until('ben sends there', () => ben.emitted('path').length === 1, quick)
    assertSameLink(anna, ben)
    await world.until('anna sends a new request', () => anna.emitted('requested').length === 1, 20_000)
    assert.equal(anna.emitted('nat').length, 1)
    await world.until('all is well', () => world.areLinked(anna, ben))
  })
})

test('an agent that moves into its peer’s LAN soon uses a path inside the LAN', async () => {
  await inWorld({ seed: 23 }, async (world) => {
    const home = world.lan(nat('EIM', 'EIF', { hairpin: true }))
    const [anna, ben] = [world.player('anna', nat('EIM', 'EIF')), world.player('ben', home)]
    await linked(world, anna, ben)
    world.post.weather = noMail
    anna.computer.moveTo(home, '192.168.1.77')
    const isInside = (player: Player) => player.emitted('path').at(-1)?.path.kind === 'lan'
    await world.until('both are inside', () => isInside(anna) && isInside(ben), 15_000)
    assertSameLink(anna, ben)
  })
})

test('when filtering blocks an agent after a move, a new request by mail connects the two again', async () => {
  await inWorld({ seed: 24 }, async (world) => {
    const annas = world.home(nat('EIM', 'APDF'))
    const [anna, ben] = [world.player('anna', annas.lan), world.player('ben', nat('EIM', 'APDF'))]
    await linked(world, anna, ben)
    annas.nat.changeAddresses([world.newPublicAddress()])
    await world.until('the silence is reported', () => anna.emitted('disturbed').length === 1, 11_000)
    await world.until('they connect again', () => anna.emitted('connected').length === 1, 30_000)
    await world.pass(60_000)
    assert.deepEqual([...anna.emitted('disconnected'), ...ben.emitted('disconnected')], [])
    assert.ok(world.areLinked(anna, ben))
    assert.deepEqual([anna.liveLinks, ben.liveLinks], [1, 1])
  })
})

test('a link survives a cable pulled for ten seconds', async () => {
  await inWorld({ seed: 25 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await linked(world, anna, ben)
    ben.computer.isCutOff = true
    await world.pass(10_000)
    ben.computer.isCutOff = false
    await world.pass(60_000)
    assert.deepEqual([...anna.emitted('disconnected'), ...ben.emitted('disconnected')], [])
    assert.deepEqual([anna.liveLinks, ben.liveLinks], [1, 1])
  })
})

test('after minutes of sleep, links are checked at once, timers do not pile up, and lost peers are connected again', async () => {
  await inWorld({ seed: 26 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben', 'no NAT')]
    await linked(world, anna, ben)
    const timers = anna.pendingTimers
    world.clock.sleep(300_000)
    await world.pass(3_000)
    assert.ok(anna.pendingTimers <= timers + 8, `${anna.pendingTimers} timers, ${timers} before`)
    await world.pass(60_000)
    assert.ok(world.areLinked(anna, ben))
    for (const player of [anna, ben]) assert.ok(player.emitted('requested').length <= 2)
  })
})

test('an agent that stops during a change of network leaves nothing open', async () => {
  await inWorld({ seed: 27 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben', 'no NAT')]
    await linked(world, anna, ben)
    anna.computer.moveTo(world.lan(nat('EIM', 'APDF')), '192.168.7.7')
    await world.pass(2_000)
    await world.finish(anna.stop())
    assert.equal(anna.pendingTimers, 0)
    assert.equal(anna.computer.openSockets, 0)
  })
})
