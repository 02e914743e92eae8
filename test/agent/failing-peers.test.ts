// Peers that cannot be reached (A8, A9).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inWorld, nat } from '../harness/world.ts'

const quick = { settings: { attemptMs: 30_000, links: 1 } } as const

test('a peer that does not answer fails with a reason, is reported and flagged, and the next peer is tried', async () => {
  await inWorld({ seed: 1 }, async (world) => {
    const cleo = world.player('cleo')
    const ben = world.player('ben')
    const anna = world.player('anna', nat('EIM', 'APDF'), quick)
    await world.join(cleo, ben)
    ben.kill()
    await world.join(anna)
    await world.until('ben fails', () => anna.emitted('failed', ben).length === 1, 35_000)
    assert.match(anna.emitted('failed')[0]?.reason ?? '', /did not answer/)
    assert.ok(anna.emitted('failed')[0]?.advice)
    assert.deepEqual(anna.emitted('punching', cleo), [], 'one after the other')
    await world.until('cleo is met', () => world.areLinked(anna, cleo), 10_000)
    assert.equal(world.accepted('failure'), 1)

    const dora = world.player('dora', nat('EIM', 'APDF'), quick)
    await world.join(dora)
    await world.until('dora connects to a peer', () => dora.emitted('connected').length === 1)
    assert.deepEqual(dora.emitted('punching', ben), [], 'flagged peers come last, even recent ones')
  })
})

test('when all peers have failed, the agent emits waiting once, sends no more requests, and accepts peers that connect', async () => {
  await inWorld({ seed: 2 }, async (world) => {
    const [ben, cleo] = [world.player('ben'), world.player('cleo')]
    const anna = world.player('anna', nat('EIM', 'APDF'), quick)
    await world.join(ben, cleo)
    ben.kill()
    cleo.kill()
    await world.join(anna)
    await world.until('anna waits', () => anna.emitted('waiting').length === 1, 300_000)
    assert.equal(anna.emitted('failed', ben).length, 1)
    assert.equal(anna.emitted('failed', cleo).length, 1)
    await world.until('both are reported', () => world.accepted('failure') === 2)
    const requests = anna.emitted('requested').length
    assert.ok(requests <= 2, 'one more for the second peer, which was introduced too long ago')
    await world.pass(3_600_000)
    assert.equal(anna.emitted('requested').length, requests)
    assert.equal(anna.emitted('waiting').length, 1)

    const dora = world.player('dora')
    await world.join(dora)
    await world.until('dora comes', () => world.areLinked(anna, dora), 5_000)
  })
})

test('one dead peer does not delay links with the other peers', async () => {
  await inWorld({ seed: 3 }, async (world) => {
    const [ben, cleo, dora] = ['ben', 'cleo', 'dora'].map((name) => world.player(name))
    const anna = world.player('anna')
    assert.ok(ben && cleo && dora)
    await world.join(ben, cleo, dora)
    cleo.kill()
    await world.join(anna)
    await world.until(
      'the living meet',
      () => world.areLinked(anna, ben) && world.areLinked(anna, dora),
      5_000,
    )
  })
})

test('another identity at the address of a peer gets no link', async () => {
  await inWorld({ seed: 4 }, async (world) => {
    // Both the peer and the impostor are tried, in either order.
    const anna = world.player('anna', 'no NAT', { settings: { attemptMs: 30_000 } })
    const ben = world.player('ben')
    await world.join(ben)
    // The same computer and port, but another identity.
    ben.kill()
    const impostor = world.impostor('impostor', ben)
    await world.finish(impostor.start())
    await world.join(anna)
    await world.until('ben fails', () => anna.emitted('failed', ben).length === 1, 35_000)
    assert.deepEqual(anna.emitted('connected', ben), [])
  })
})
