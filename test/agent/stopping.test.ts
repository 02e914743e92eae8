// An agent that is stopped at any moment leaves nothing open.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inWorld, type Player, type World } from '../harness/world.ts'

async function assertStops(world: World, player: Player): Promise<void> {
  await world.finish(player.stop(), 10_000)
  assert.equal(player.pendingTimers, 0, 'no timer is left')
  assert.equal(player.computer.openSockets, 0, 'no socket is left')
  const emitted = player.events.length
  await world.pass(120_000)
  assert.equal(player.events.length, emitted, 'no more events are emitted')
  assert.equal(player.pendingTimers, 0)
}

for (const afterMs of [0, 1, 10, 19, 20, 21, 40, 60, 80, 100, 130, 500, 1_200, 2_000, 3_000, 10_000]) {
  test(`an agent stopped ${afterMs} ms after its start ends with everything closed`, async () => {
    await inWorld({ seed: 1 + afterMs }, async (world) => {
      const [anna, ben] = [world.player('anna'), world.player('ben')]
      await world.join(anna)
      const starting = ben.start()
      await world.pass(afterMs)
      await assertStops(world, ben)
      await world.finish(starting)
      await assertStops(world, anna)
    })
  })
}

test('an agent whose mail server is down still stops within seconds', async () => {
  await inWorld({ seed: 2 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('they meet', () => world.areLinked(anna, ben))
    world.mailSystem.setDown(anna.address, true)
    await assertStops(world, anna)
    await world.until('ben sees the goodbye', () => ben.emitted('disconnected').length === 1)
    assert.equal(ben.emitted('disconnected')[0]?.reason, 'closed-by-peer')
  })
})

test('an agent whose peers are silent still stops within seconds', async () => {
  await inWorld({ seed: 3 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('they meet', () => world.areLinked(anna, ben))
    ben.kill()
    await assertStops(world, anna)
    assert.equal(anna.emitted('disconnected').length, 1)
  })
})

test('an agent stopped while two links to one peer are open emits one disconnect', async () => {
  await inWorld({ seed: 4 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('they meet', () => world.areLinked(anna, ben))
    ben.kill()
    await world.finish(ben.start())
    await world.until('they meet again', () => anna.emitted('connected').length === 2, 10_000)
    await assertStops(world, anna)
    assert.equal(anna.emitted('disconnected').length, 1)
  })
})

test('an agent stopped before it has started never starts', async () => {
  await inWorld({ seed: 5 }, async (world) => {
    const anna = world.player('anna')
    const starting = anna.start()
    await assertStops(world, anna)
    await world.finish(starting)
    assert.deepEqual(anna.emitted('ready'), [])
  })
})

test('an agent whose port is in use rejects with a problem and leaves nothing open', async () => {
  await inWorld({ seed: 6 }, async (world) => {
    const anna = world.player('anna')
    anna.computer.isPortTaken = true
    const starting = anna.start()
    await assert.rejects(world.finish(starting), { code: 'port-taken' })
    await world.pass(5_000)
    assert.equal(anna.pendingTimers, 0)
  })
})
