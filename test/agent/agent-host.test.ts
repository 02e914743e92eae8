// Agents whose programs are also hosts (A15): one host answers and the others stand by, while hosts start and stop. Also
// chains of hosts.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goodMailConditions, inWorld, nat, type Player, type World } from '../harness/world.ts'

const standbyMs = 5_000
const home = nat('EIM', 'APDF')

/** One agent at each host, in the same program as the host. None is started. */
async function playersAtHosts(world: World, ...names: readonly string[]): Promise<Player[]> {
  await world.stopHost()
  return names.map((name, index) => world.player(name, home, { site: world.site(index) }))
}

function activeHosts(world: World): number[] {
  return [...world.sites.keys()].filter((index) => world.site(index).isAwake)
}

test('two agents without a running host: one becomes host and they connect', async () => {
  await inWorld({ seed: 21, hosts: 2, host: { standbyMs } }, async (world) => {
    const [anna, ben] = await playersAtHosts(world, 'anna', 'ben')
    assert.ok(anna && ben)
    await world.startHost()
    await world.finish(Promise.all([anna.start(), ben.start()]))
    await world.until('both are linked', () => world.areLinked(anna, ben), 60_000)
    await world.pass(120_000)
    assert.equal(activeHosts(world).length, 1)
    for (const player of [anna, ben]) assert.equal(player.emitted('failed').length, 0)
  })
})

test('while one host answers, the others send no replies and have the same table', async () => {
  await inWorld({ seed: 22, hosts: 3, host: { standbyMs } }, async (world) => {
    const players = ['anna', 'ben', 'cleo'].map((name) => world.player(name))
    await world.join(...players)
    await world.until('all are linked', () => world.areLinked(...players), 120_000)
    await world.pass(120_000)
    const [host] = activeHosts(world)
    assert.equal(activeHosts(world).length, 1)
    const dora = world.player('dora')
    const before = world.sites.map((site) => site.sent('reply'))
    await world.join(dora)
    await world.pass(60_000)
    for (const [index, site] of world.sites.entries()) {
      assert.equal(site.sent('reply') - (before[index] ?? 0), index === host ? 1 : 0, site.name)
      assert.equal(site.host.counters().entries, 4)
    }
  })
})

test('when the answering host stops, another takes over, and after a restart the first stands by', async () => {
  await inWorld({ seed: 23, hosts: 3, host: { standbyMs } }, async (world) => {
    const [anna, ben, cleo] = ['anna', 'ben', 'cleo'].map((name) => world.player(name))
    assert.ok(anna && ben && cleo)
    await world.join(anna)
    await world.pass(60_000)
    const [dead] = activeHosts(world)
    assert.ok(dead !== undefined)
    await world.finish(world.site(dead).stop())
    await world.join(ben)
    await world.until('both are linked', () => world.areLinked(anna, ben), 60_000)
    await world.pass(60_000)
    const [next] = activeHosts(world)
    assert.equal(activeHosts(world).length, 1)
    assert.notEqual(next, dead)
    await world.finish(world.site(dead).start())
    await world.join(cleo)
    await world.until('all are linked', () => world.areLinked(anna, ben, cleo), 60_000)
    await world.pass(120_000)
    assert.deepEqual(activeHosts(world), [next])
  })
})

test('agents at both ends of a chain of three hosts connect', async () => {
  await inWorld({ seed: 24, hosts: 3 }, async (world) => {
    await world.stopHost()
    const [first, middle, last] = [world.site(0), world.site(1), world.site(2)]
    first.hosts = [middle]
    middle.hosts = [first, last]
    last.hosts = [middle]
    await world.startHost()
    const anna = world.player('anna', home, { hosts: [first] })
    const ben = world.player('ben', nat('APDM', 'APDF', { allocation: 1 }), { hosts: [last] })
    await world.join(anna)
    await world.until('the last knows her', () => last.host.counters().entries === 1, 60_000)
    await world.join(ben)
    await world.until('both are linked', () => world.areLinked(anna, ben), 60_000)
    assert.equal(anna.emitted('introduced', ben).length, 1)
  })
})

test('a host that stands by answers an agent that knows no other host at once, and the agent connects to agents of the active host', async () => {
  await inWorld({ seed: 25, hosts: 2, host: { standbyMs } }, async (world) => {
    const anna = world.player('anna')
    await world.join(anna)
    await world.pass(60_000)
    const [acting] = activeHosts(world)
    assert.equal(activeHosts(world).length, 1)
    const other = world.site(acting === 0 ? 1 : 0)
    const ben = world.player('ben', nat('APDM', 'APDF', { allocation: 1 }), { hosts: [other] })
    await world.join(ben)
    assert.ok((ben.emitted('replied')[0]?.sinceRequestMs ?? Infinity) < standbyMs)
    await world.until('both are linked', () => world.areLinked(anna, ben), 60_000)
    assert.deepEqual(activeHosts(world), [acting])
  })
})

/** Each agent has an invite of its own host, so a host rejects the agents of hosts that it does not know. */
async function inChainOfThree(
  seed: number,
  slowestMailMs: number,
  work: (world: World, players: readonly Player[]) => Promise<void>,
): Promise<void> {
  await inWorld({ seed, hosts: 3, host: { standbyMs: 3_000 } }, async (world) => {
    await world.stopHost()
    for (const [place, site] of world.sites.entries())
      site.hosts = world.sites.filter((_, other) => Math.abs(place - other) === 1)
    world.post.weather = { ...goodMailConditions, delayMs: [100, slowestMailMs] }
    const players = ['gina', 'hugo', 'ida'].map((name, place) => {
      const site = world.site(place)
      return world.player(name, home, { site, hosts: [site, ...site.hosts], invitedBy: site })
    })
    await world.startHost()
    await world.finish(Promise.all(players.map((player) => player.start())))
    await work(world, players)
  })
}

for (const seed of [3, 11]) {
  test(`agents at both ends of a chain connect, though their hosts reject agents from the other end and mails overtake each other (seed ${seed})`, async () => {
    await inChainOfThree(seed, 15_000, (world, players) =>
      world.until('all are linked', () => world.areLinked(...players), 120_000),
    )
  })
}

for (const seed of [1, 2, 3]) {
  test(`after the host at one end of a chain was killed and restarted, its agent connects to the one at the other end, which the host does not know (seed ${seed})`, async () => {
    await inChainOfThree(seed, 5_000, async (world, players) => {
      await world.until('all are linked', () => world.areLinked(...players), 120_000)
      const [gina] = players
      const site = world.site(0)
      gina?.kill()
      await world.finish(site.stop())
      const middle = world.site(1)
      const jan = world.player('jan', home, { hosts: [middle, site, world.site(2)], invitedBy: middle })
      await world.join(jan)
      // Longer than a letter between hosts takes, so that no two requests are in transit at the same time.
      await world.pass(90_000)
      await world.finish(site.start())
      assert.ok(gina)
      await world.finish(gina.start())
      await world.until('all are linked', () => world.areLinked(...players, jan), 60_000)
    })
  })
}

for (const seed of [31, 32, 33]) {
  test(`in a chain of four hosts, each agent soon gets a reply from an active host, and all connect (seed ${seed})`, async () => {
    await inWorld({ seed, hosts: 4, host: { standbyMs } }, async (world) => {
      await world.stopHost()
      const { sites } = world
      for (const [place, site] of sites.entries())
        site.hosts = sites.filter((_, other) => Math.abs(place - other) === 1)
      await world.startHost()
      const playerAt = (name: string, place: number) => {
        const site = world.site(place)
        return world.player(name, home, { hosts: [site, ...site.hosts] })
      }
      const players = ['anna', 'ben', 'cleo', 'dora'].map((name, place) => playerAt(name, place))
      for (const place of [0, 3, 1, 2]) {
        await world.join(players[place] as (typeof players)[number])
        await world.pass(60_000)
      }
      await world.until('all are linked', () => world.areLinked(...players), 120_000)
      await world.pass(180_000)
      const acting = activeHosts(world)
      assert.ok(acting.length > 0)
      for (const place of acting) assert.ok(!acting.includes(place + 1), `activeHosts: ${acting}`)
      for (const place of sites.keys()) {
        const late = playerAt(`late${place}`, place)
        await world.join(late)
        assert.ok((late.emitted('replied')[0]?.sinceRequestMs ?? Infinity) < standbyMs)
      }
      assert.deepEqual(activeHosts(world), acting)
    })
  })
}
