// One room with several hosts: any of them may be down, and agents of different hosts connect (A12, A13).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inWorld, nat, type World } from '../harness/world.ts'

/** Hosts compare their tables about two seconds after their start. That needs two or three mails in sequence. */
const syncMs = 20_000

function entriesOf(world: World): number[] {
  return world.sites.map(({ host }) => host.counters().entries)
}

test('an agent sends a request to all hosts of its invite in one mail, and every host replies', async () => {
  await inWorld({ seed: 1, hosts: 3 }, async (world) => {
    const anna = world.player('anna')
    await world.finish(anna.start())
    await world.until('all three have answered', () => anna.emitted('replied').length === 3)
    assert.equal(world.mailSystem.taken.filter(({ from }) => from === anna.address).length, 1)
    assert.equal(anna.emitted('requested')[0]?.hosts, 3)
    assert.deepEqual(entriesOf(world), [1, 1, 1])
  })
})

test('two agents connect once, though three hosts introduce them', async () => {
  await inWorld({ seed: 2, hosts: 3 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('both are linked', () => world.areLinked(anna, ben), 10_000)
    await world.pass(30_000)
    for (const player of [anna, ben]) {
      assert.equal(player.emitted('connected').length, 1)
      assert.equal(player.emitted('failed').length, 0)
    }
  })
})

for (const down of [[0], [2], [0, 1], [1, 2]]) {
  test(`with ${down.length} of three hosts down (${down.map((one) => one + 1)}) all connect as before`, async () => {
    await inWorld({ seed: 10 + down.length, hosts: 3 }, async (world) => {
      for (const one of down) await world.finish(world.site(one).stop())
      const players = ['anna', 'ben', 'cleo', 'dora'].map((name) => world.player(name))
      await world.join(...players)
      await world.until('all are linked', () => world.areLinked(...players), 20_000)
    })
  })
}

test('agents that know different hosts connect, because each host requests introductions from the other', async () => {
  await inWorld({ seed: 3, hosts: 2 }, async (world) => {
    const anna = world.player('anna', nat('EIM', 'APDF'), { hosts: [world.site(0)] })
    const ben = world.player('ben', nat('EIM', 'APDF'), { hosts: [world.site(1)] })
    await world.join(anna)
    await world.until('both hosts know her', () => entriesOf(world).every((count) => count === 1), syncMs)
    await world.join(ben)
    await world.until('both are linked', () => world.areLinked(anna, ben), 15_000)
    assert.equal(ben.emitted('replied')[0]?.peers, 1)
    assert.equal(anna.emitted('introduced', ben).length, 1)
  })
})

test('signals between agents of different hosts pass both hosts, so hard NATs are traversed as with one host', async () => {
  await inWorld({ seed: 4, hosts: 2 }, async (world) => {
    const easy = world.player('anna', nat('EIM', 'APDF'), { hosts: [world.site(0)] })
    const hard = world.player('ben', nat('APDM', 'APDF', { allocation: 1 }), { hosts: [world.site(1)] })
    await world.join(easy)
    await world.until('both hosts know her', () => entriesOf(world).every((count) => count === 1), syncMs)
    await world.join(hard)
    await world.until('both are linked', () => world.areLinked(easy, hard), 60_000)
    assert.ok(world.site(0).accepted('signal') + world.site(1).accepted('signal') > 0)
  })
})

test('a host that starts empty soon has the table of another host', async () => {
  await inWorld({ seed: 5, hosts: 2 }, async (world) => {
    await world.finish(world.site(1).stop())
    const players = ['anna', 'ben', 'cleo'].map((name) =>
      world.player(name, nat('EIM', 'APDF'), { hosts: [world.site(0)] }),
    )
    await world.join(...players)
    await world.finish(world.site(1).start())
    await world.until('it knows them all', () => world.site(1).host.counters().entries === 3, 10_000)
  })
})

test('an agent that leaves is deleted at every host, and one that cannot be reached is flagged at every host', async () => {
  await inWorld({ seed: 6, hosts: 3 }, async (world) => {
    const anna = world.player('anna', nat('EIM', 'APDF'), { hosts: [world.site(0)] })
    const ben = world.player('ben', nat('EIM', 'APDF'), { hosts: [world.site(1)] })
    await world.join(anna, ben)
    await world.until('all hosts know both', () => entriesOf(world).every((count) => count === 2), syncMs)
    await world.finish(anna.stop())
    await world.until('all have heard it', () => entriesOf(world).every((count) => count === 1), syncMs)
    ben.kill()
    const cleo = world.player('cleo', nat('EIM', 'APDF'), { hosts: [world.site(2)] })
    await world.join(cleo)
    await world.until('cleo gives ben up', () => cleo.emitted('failed', ben).length === 1, 200_000)
    const dora = world.player('dora', nat('EIM', 'APDF'), { hosts: [world.site(0)] })
    await world.pass(syncMs)
    await world.join(dora)
    const flagged = dora.agent.report.peers.find(({ peer }) => peer.id === ben.id)?.flagged
    assert.equal(flagged, true)
  })
})

test('hosts that were separated for hours soon have the same table again', async () => {
  await inWorld({ seed: 7, hosts: 2 }, async (world) => {
    world.mailSystem.setDown(world.site(1).known.address, true)
    const anna = world.player('anna', nat('EIM', 'APDF'), { hosts: [world.site(0)] })
    await world.join(anna)
    await world.pass(3 * 3_600_000)
    world.mailSystem.setDown(world.site(1).known.address, false)
    await world.until('both know her', () => entriesOf(world).every((count) => count === 1), 3_600_000)
  })
})

test('agents that send requests to different hosts at the same moment connect, because each host introduces its own', async () => {
  await inWorld({ seed: 8, hosts: 2 }, async (world) => {
    const anna = world.player('anna', nat('EIM', 'APDF'), { hosts: [world.site(0)] })
    const ben = world.player('ben', nat('EIM', 'APDF'), { hosts: [world.site(1)] })
    await world.finish(Promise.all([anna.start(), ben.start()]))
    await world.until('both are linked', () => world.areLinked(anna, ben), 30_000)
    assert.deepEqual(
      [anna, ben].map((player) => player.emitted('replied')[0]?.peers),
      [0, 0],
      'neither was offered the other',
    )
  })
})
