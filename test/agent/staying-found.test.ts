// What keeps agents linked and known over hours, restarts and changes of address.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inWorld, nat, type Player } from '../harness/world.ts'

const dayMs = 24 * 3_600_000

test('an agent asks again before its entry expires, and is found after three days', async () => {
  await inWorld({ seed: 1, host: { cleanupMs: 600_000, sweepMs: 3_600_000 } }, async (world) => {
    const home = nat('EIM', 'APDF', { lifetimeMs: 600_000 })
    const anna = world.player('anna', home, { settings: { keepaliveMs: 300_000, sweepMs: 3_600_000 } })
    await world.join(anna)
    await world.pass(3 * dayMs)
    const asked = anna.told('requested').length
    assert.ok(asked >= 12 && asked <= 14, `${asked} requests`)
    assert.equal(anna.told('unanswered').length, 0)
    const ben = world.player('ben')
    await world.join(ben)
    await world.until('they meet', () => world.areLinked(anna, ben), 5_000)
  })
})

test('refreshing an entry breaks no link, and leaves exactly one', async () => {
  await inWorld({ seed: 2, host: { expiryMs: 600_000 } }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.pass(3_600_000)
    assert.ok(anna.told('requested').length >= 10)
    assert.ok(world.areLinked(anna, ben))
    assert.deepEqual([...anna.told('disconnected'), ...ben.told('disconnected')], [])
    assert.deepEqual([...anna.told('failed'), ...ben.told('failed')], [])
    assert.deepEqual([anna.liveLinks, ben.liveLinks], [1, 1])
  })
})

for (const seed of [3, 4, 5, 6]) {
  test(`a peer restarted without a goodbye is met again, and its loss is never told (seed ${seed})`, async () => {
    await inWorld({ seed, loss: 0.05 }, async (world) => {
      const [anna, ben] = [world.player('anna'), world.player('ben')]
      await world.join(anna, ben)
      await world.until('they meet', () => world.areLinked(anna, ben))
      await world.pass(20_000)
      anna.forget()
      ben.kill()
      ben.forget()
      await world.finish(ben.start())
      await world.until('they meet again', () => anna.told('connected', ben).length === 1, 10_000)
      await world.pass(120_000)
      assert.ok(world.areLinked(anna, ben))
      assert.equal(anna.told('connected').length, 1)
      assert.equal(ben.told('connected').length, 1)
      assert.deepEqual(anna.told('disconnected'), [])
      assert.deepEqual([anna.liveLinks, ben.liveLinks], [1, 1])
    })
  })
}

test('a peer that vanishes is told as lost, and the agent asks again', async () => {
  await inWorld({ seed: 7 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('they meet', () => world.areLinked(anna, ben))
    ben.kill()
    await world.until('the loss is told', () => anna.told('disconnected').length === 1, 45_000)
    assert.equal(anna.told('disconnected')[0]?.reason, 'lost')
    await world.until('anna asks', () => anna.told('requested').length === 2, 15_000)
  })
})

test('two peers whose line was cut for minutes find each other again by themselves', async () => {
  await inWorld({ seed: 8 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('they meet', () => world.areLinked(anna, ben))
    ben.computer.isCutOff = true
    await world.until(
      'both lose it',
      () => [anna, ben].every((one) => one.told('disconnected').length === 1),
      60_000,
    )
    await world.pass(60_000)
    ben.computer.isCutOff = false
    await world.until('they meet again', () => world.areLinked(anna, ben), 60_000)
  })
})

test('an agent whose public address changes asks again at once, even while an answer is on its way', async () => {
  await inWorld({ seed: 9 }, async (world) => {
    const anna = world.player('anna', nat('EIM', 'APDF'))
    // The answer comes when the change is noticed (after 8 s) but may not be told yet (before 15 s).
    world.post.weather = { ...world.post.weather, delayMs: [5_000, 6_000] }
    await world.finish(anna.start())
    anna.computer.plugInto(world.lan(nat('EIM', 'APDF')))
    await world.until('the change is noticed', () => anna.told('nat').length === 2, 15_000)
    const changed = anna.told('nat')[1]
    assert.notDeepEqual(changed?.public, anna.told('nat')[0]?.public)
    await world.until('anna asks again', () => anna.told('requested').length === 2, 16_000)
    assert.equal(anna.told('replied').length, 1)
    await world.until('and has both answers', () => anna.told('replied').length === 2)

    const ben = world.player('ben')
    await world.join(ben)
    await world.until('the new address is what others get', () => world.areLinked(anna, ben), 30_000)
    const remote = ben.told('connected')[0]?.path.remote
    assert.equal(remote, changed?.public[0])
  })
})

test('an agent that leaves is named to nobody afterwards', async () => {
  await inWorld({ seed: 10 }, async (world) => {
    const [anna, ben, cleo] = [world.player('anna'), world.player('ben'), world.player('cleo')]
    await world.join(anna, ben)
    await world.until('they meet', () => world.areLinked(anna, ben))
    await world.finish(ben.stop())
    assert.equal(anna.told('disconnected')[0]?.reason, 'closed-by-peer')
    assert.equal(anna.events.at(-1)?.event, 'waiting')
    await world.until('the host knows', () => world.accepted('leave') === 1)
    await world.join(cleo)
    assert.equal(cleo.told('replied')[0]?.peers, 1)
    await world.pass(1_000)
    assert.deepEqual(cleo.told('punching').map(namesOf), ['anna'])
  })
})

function namesOf({ peer }: { readonly peer: { readonly name: string } }): string {
  return peer.name
}

test('a peer that left is not looked for again when a letter about it comes late', async () => {
  await inWorld({ seed: 11 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('they meet', () => world.areLinked(anna, ben))
    const letters = lettersTo(world.post.taken, anna)
    await world.finish(ben.stop())
    anna.forget()
    for (const raw of letters) world.post.deliver(anna.address, raw)
    await world.pass(10_000)
    assert.deepEqual(anna.told('punching'), [])
    assert.deepEqual(
      anna.told('letter').map(({ reason }) => reason),
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
