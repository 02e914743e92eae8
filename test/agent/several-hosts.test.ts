// One room that several hosts serve: any of them may be down, and agents of different hosts meet (A12, A13).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inWorld, nat, type World } from '../harness/world.ts'

/** Hosts compare tables about two seconds after they start, when mail has to cross twice or thrice. */
const inStepMs = 20_000

function entriesOf(world: World): number[] {
  return world.sites.map(({ host }) => host.counters().entries)
}

test('an agent asks all hosts of its invite by one mail, and each answer brings peers', async () => {
  await inWorld({ seed: 1, hosts: 3 }, async (world) => {
    const anna = world.player('anna')
    await world.finish(anna.start())
    await world.until('all three have answered', () => anna.told('replied').length === 3)
    assert.equal(world.post.taken.filter(({ from }) => from === anna.address).length, 1)
    assert.equal(anna.told('requested')[0]?.hosts, 3)
    assert.deepEqual(entriesOf(world), [1, 1, 1])
  })
})

test('two agents meet once, though three hosts introduce them', async () => {
  await inWorld({ seed: 2, hosts: 3 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('both are linked', () => world.areLinked(anna, ben), 10_000)
    await world.pass(30_000)
    for (const player of [anna, ben]) {
      assert.equal(player.told('connected').length, 1)
      assert.equal(player.told('failed').length, 0)
    }
  })
})

for (const down of [[0], [2], [0, 1], [1, 2]]) {
  test(`with ${down.length} of three hosts down (${down.map((one) => one + 1)}) all meet as before`, async () => {
    await inWorld({ seed: 10 + down.length, hosts: 3 }, async (world) => {
      for (const one of down) await world.finish(world.site(one).stop())
      const players = ['anna', 'ben', 'cleo', 'dora'].map((name) => world.player(name))
      await world.join(...players)
      await world.until('all are linked', () => world.areLinked(...players), 20_000)
    })
  })
}

test('agents that know different hosts meet: each host asks the other’s to introduce them', async () => {
  await inWorld({ seed: 3, hosts: 2 }, async (world) => {
    const anna = world.player('anna', nat('EIM', 'APDF'), { hosts: [world.site(0)] })
    const ben = world.player('ben', nat('EIM', 'APDF'), { hosts: [world.site(1)] })
    await world.join(anna)
    await world.until('both hosts know her', () => entriesOf(world).every((count) => count === 1), inStepMs)
    await world.join(ben)
    await world.until('both are linked', () => world.areLinked(anna, ben), 15_000)
    assert.equal(ben.told('replied')[0]?.peers, 1)
    assert.equal(anna.told('introduced', ben).length, 1)
  })
})

test('signals between agents of different hosts cross both, so hard NATs are overcome as with one host', async () => {
  await inWorld({ seed: 4, hosts: 2 }, async (world) => {
    const easy = world.player('anna', nat('EIM', 'APDF'), { hosts: [world.site(0)] })
    const hard = world.player('ben', nat('APDM', 'APDF', { allocation: 1 }), { hosts: [world.site(1)] })
    await world.join(easy)
    await world.until('both hosts know her', () => entriesOf(world).every((count) => count === 1), inStepMs)
    await world.join(hard)
    await world.until('both are linked', () => world.areLinked(easy, hard), 60_000)
    assert.ok(world.site(0).accepted('signal') + world.site(1).accepted('signal') > 0)
  })
})

test('a host that starts empty has the table of another at once', async () => {
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

test('who leaves is gone at every host, and who fails to be reached is flagged at every host', async () => {
  await inWorld({ seed: 6, hosts: 3 }, async (world) => {
    const anna = world.player('anna', nat('EIM', 'APDF'), { hosts: [world.site(0)] })
    const ben = world.player('ben', nat('EIM', 'APDF'), { hosts: [world.site(1)] })
    await world.join(anna, ben)
    await world.until('all hosts know both', () => entriesOf(world).every((count) => count === 2), inStepMs)
    await world.finish(anna.stop())
    await world.until('all have heard it', () => entriesOf(world).every((count) => count === 1), inStepMs)
    ben.kill()
    const cleo = world.player('cleo', nat('EIM', 'APDF'), { hosts: [world.site(2)] })
    await world.join(cleo)
    await world.until('cleo gives ben up', () => cleo.told('failed', ben).length === 1, 200_000)
    const dora = world.player('dora', nat('EIM', 'APDF'), { hosts: [world.site(0)] })
    await world.pass(inStepMs)
    await world.join(dora)
    const flagged = dora.agent.report.peers.find(({ peer }) => peer.id === ben.id)?.flagged
    assert.equal(flagged, true)
  })
})

test('hosts parted for a day are in step soon after', async () => {
  await inWorld({ seed: 7, hosts: 2 }, async (world) => {
    world.post.setDown(world.site(1).known.address, true)
    const anna = world.player('anna', nat('EIM', 'APDF'), { hosts: [world.site(0)] })
    await world.join(anna)
    await world.pass(3 * 3_600_000)
    world.post.setDown(world.site(1).known.address, false)
    await world.until('both know her', () => entriesOf(world).every((count) => count === 1), 3_600_000)
  })
})

test('agents that ask different hosts at the same moment meet, for each host tells its own', async () => {
  await inWorld({ seed: 8, hosts: 2 }, async (world) => {
    const anna = world.player('anna', nat('EIM', 'APDF'), { hosts: [world.site(0)] })
    const ben = world.player('ben', nat('EIM', 'APDF'), { hosts: [world.site(1)] })
    await world.finish(Promise.all([anna.start(), ben.start()]))
    await world.until('both are linked', () => world.areLinked(anna, ben), 30_000)
    assert.deepEqual(
      [anna, ben].map((player) => player.told('replied')[0]?.peers),
      [0, 0],
      'neither was offered the other',
    )
  })
})
