// Agents stay linked and known over hours, restarts and changes of address.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inWorld, nat, type Player } from '../harness/world.ts'

const dayMs = 24 * 3_600_000

test('an agent sends a new request before its entry expires, and others still connect to it after three days', async () => {
  await inWorld({ seed: 1, host: { cleanupMs: 600_000, sweepMs: 3_600_000 } }, async (world) => {
    const home = nat('EIM', 'APDF', { lifetimeMs: 600_000 })
    const anna = world.player('anna', home, { settings: { keepaliveMs: 300_000, sweepMs: 3_600_000 } })
    await world.join(anna)
    await world.pass(3 * dayMs)
    const requests = anna.emitted('requested').length
    assert.ok(requests >= 12 && requests <= 14, `${requests} requests`)
    assert.equal(anna.emitted('unanswered').length, 0)
    const ben = world.player('ben')
    await world.join(ben)
    await world.until('they meet', () => world.areLinked(anna, ben), 5_000)
  })
})

test('the refresh of an entry closes no link and leaves exactly one', async () => {
  await inWorld({ seed: 2, host: { expiryMs: 600_000 } }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.pass(3_600_000)
    assert.ok(anna.emitted('requested').length >= 10)
    assert.ok(world.areLinked(anna, ben))
    assert.deepEqual([...anna.emitted('disconnected'), ...ben.emitted('disconnected')], [])
    assert.deepEqual([...anna.emitted('failed'), ...ben.emitted('failed')], [])
    assert.deepEqual([anna.liveLinks, ben.liveLinks], [1, 1])
  })
})

for (const seed of [3, 4, 5, 6]) {
  test(`a peer restarted without a goodbye is connected again, and no disconnect is emitted (seed ${seed})`, async () => {
    await inWorld({ seed, loss: 0.05 }, async (world) => {
      const [anna, ben] = [world.player('anna'), world.player('ben')]
      await world.join(anna, ben)
      await world.until('they meet', () => world.areLinked(anna, ben))
      await world.pass(20_000)
      anna.clearEvents()
      ben.kill()
      ben.clearEvents()
      await world.finish(ben.start())
      await world.until('they meet again', () => anna.emitted('connected', ben).length === 1, 10_000)
      await world.pass(120_000)
      assert.ok(world.areLinked(anna, ben))
      assert.equal(anna.emitted('connected').length, 1)
      assert.equal(ben.emitted('connected').length, 1)
      assert.deepEqual(anna.emitted('disconnected'), [])
      assert.deepEqual([anna.liveLinks, ben.liveLinks], [1, 1])
    })
  })
}

test('a peer that vanishes is reported as lost, and the agent sends a new request', async () => {
  await inWorld({ seed: 7 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('they meet', () => world.areLinked(anna, ben))
    ben.kill()
    await world.until('the loss is reported', () => anna.emitted('disconnected').length === 1, 45_000)
    assert.equal(anna.emitted('disconnected')[0]?.reason, 'lost')
    await world.until('anna sends a request', () => anna.emitted('requested').length === 2, 15_000)
  })
})

test('two peers whose network was cut for minutes connect again by themselves', async () => {
  await inWorld({ seed: 8 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('they meet', () => world.areLinked(anna, ben))
    ben.computer.isCutOff = true
    await world.until(
      'both lose it',
      () => [anna, ben].every((one) => one.emitted('disconnected').length === 1),
      60_000,
    )
    await world.pass(60_000)
    ben.computer.isCutOff = false
    await world.until('they meet again', () => world.areLinked(anna, ben), 60_000)
  })
})

test('an agent whose public address changes sends a new request at once, even while a reply is in transit', async () => {
  await inWorld({ seed: 9 }, async (world) => {
    const anna = world.player('anna', nat('EIM', 'APDF'))
    // The reply comes after the change is noticed (8 s) but before the next request is allowed (15 s).
    world.mailSystem.conditions = { ...world.mailSystem.conditions, delayMs: [5_000, 6_000] }
    await world.finish(anna.start())
    anna.computer.plugInto(world.lan(nat('EIM', 'APDF')))
    await world.until('the change is noticed', () => anna.emitted('nat').length === 2, 15_000)
    const changed = anna.emitted('nat')[1]
    assert.notDeepEqual(changed?.public, anna.emitted('nat')[0]?.public)
    await world.until('anna sends a new request', () => anna.emitted('requested').length === 2, 16_000)
    assert.equal(anna.emitted('replied').length, 1)
    await world.until('and has both answers', () => anna.emitted('replied').length === 2)

    const ben = world.player('ben')
    await world.join(ben)
    await world.until('the new address is what others get', () => world.areLinked(anna, ben), 30_000)
    const remote = ben.emitted('connected')[0]?.path.remote
    assert.equal(remote, changed?.public[0])
  })
})

test('an agent that has left is offered to no other agent', async () => {
  await inWorld({ seed: 10 }, async (world) => {
    const [anna, ben, cleo] = [world.player('anna'), world.player('ben'), world.player('cleo')]
    await world.join(anna, ben)
    await world.until('they meet', () => world.areLinked(anna, ben))
    await world.finish(ben.stop())
    assert.equal(anna.emitted('disconnected')[0]?.reason, 'closed-by-peer')
    assert.equal(anna.events.at(-1)?.event, 'waiting')
    await world.until('the host knows', () => world.accepted('leave') === 1)
    await world.join(cleo)
    assert.equal(cleo.emitted('replied')[0]?.peers, 1)
    await world.pass(1_000)
    assert.deepEqual(cleo.emitted('punching').map(namesOf), ['anna'])
  })
})

function namesOf({ peer }: { readonly peer: { readonly name: string } }): string {
  return peer.name
}

test('a late letter about a peer that has left starts no new attempt', async () => {
  await inWorld({ seed: 11 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('they meet', () => world.areLinked(anna, ben))
    const letters = lettersTo(world.mailSystem.taken, anna)
    await world.finish(ben.stop())
    anna.clearEvents()
    for (const raw of letters) world.mailSystem.deliver(anna.address, raw)
    await world.pass(10_000)
    assert.deepEqual(anna.emitted('punching'), [])
    assert.deepEqual(
      anna.emitted('letter').map(({ reason }) => reason),
      letters.map(() => 'copy'),
    )
  })
})

function lettersTo(
  mails: readonly { readonly to: readonly string[]; readonly raw: Uint8Array }[],
  player: Player,
) {
  return mails.filter(({ to }) => to[0] === player.address).map(({ raw }) => raw)
}
