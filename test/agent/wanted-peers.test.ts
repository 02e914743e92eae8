// Peers that the person at the agent asks for, or sends away.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentReport } from '../../src/agent/agent.ts'
import { inWorld, nat, type Player } from '../harness/world.ts'

const nameOf = (player: Player) => ({ id: player.id, name: player.name })
const connect = (who: Player, whom: Player) => who.agent.connect(whom.identity.publicKey, nameOf(whom))
const disconnect = (who: Player, whom: Player) => who.agent.disconnect(whom.identity.publicKey)

function peerIn(report: AgentReport, whom: Player) {
  const found = report.peers.find(({ peer }) => peer.id === whom.id)
  assert.ok(found, whom.name)
  return found
}

test('a link that was ended stays ended, and is there again after it was asked for', async () => {
  await inWorld({ seed: 501 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('both are linked', () => world.areLinked(anna, ben))
    disconnect(anna, ben)
    await world.until('the link ends', () => ben.told('disconnected', anna).length === 1)
    await world.pass(10 * 60_000)
    assert.equal(anna.told('disconnected', ben)[0]?.reason, 'closed')
    assert.equal(world.areLinked(anna, ben), false)
    assert.deepEqual(peerIn(anna.agent.report, ben).state, { state: 'gone', reason: 'closed' })
    connect(anna, ben)
    await world.until('both are linked again', () => world.areLinked(anna, ben))
  })
})

test('whoever is asked for in the moment their link is closing is met again all the same', async () => {
  await inWorld({ seed: 502 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('both are linked', () => world.areLinked(anna, ben))
    await world.pass(20_000)
    disconnect(anna, ben)
    connect(anna, ben)
    await world.until(
      'both are linked again',
      () => anna.told('connected', ben).length === 2 && world.areLinked(anna, ben),
    )
  })
})

test('an attempt that is ended is told of no more, and the peer counts as known', async () => {
  await inWorld({ seed: 503 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna)
    anna.kill()
    await world.join(ben)
    await world.until('ben tries', () => ben.told('punching', anna).length === 1)
    assert.equal(peerIn(ben.agent.report, anna).state.state, 'trying')
    disconnect(ben, anna)
    assert.equal(peerIn(ben.agent.report, anna).state.state, 'known')
    await world.pass(10 * 60_000)
    assert.deepEqual([ben.told('failed').length, ben.told('disconnected').length], [0, 0])
  })
})

test('whoever is asked for is met beyond the number of links wanted', async () => {
  await inWorld({ seed: 504 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    const cleo = world.player('cleo', nat('EIM', 'APDF'), { settings: { links: 1 } })
    await world.join(anna, ben, cleo)
    await world.until('cleo has a link', () => cleo.told('connected').length === 1)
    await world.pass(30_000)
    const left = [anna, ben].find((player) => !cleo.isLinkedWith(player)) as Player
    assert.equal(peerIn(cleo.agent.report, left).state.state, 'known')
    connect(cleo, left)
    await world.until('cleo has both', () => world.areLinked(anna, cleo) && world.areLinked(ben, cleo))
  })
})

test('somebody asked for who has left is told of as failed, and only after the host was asked', async () => {
  await inWorld({ seed: 505 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('both are linked', () => world.areLinked(anna, ben))
    await world.finish(ben.stop())
    const before = anna.told('requested').length
    connect(anna, ben)
    await world.until('anna is told', () => anna.told('failed', ben).length === 1)
    assert.equal(anna.told('requested').length, before + 1)
    assert.match(anna.told('failed', ben)[0]?.reason ?? '', /did not name/)
    assert.equal(peerIn(anna.agent.report, ben).state.state, 'failed')
  })
})

test('the report of a link has its path, its round trips and what the game sent', async () => {
  await inWorld({ seed: 506 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('both are linked', () => world.areLinked(anna, ben))
    await world.pass(60_000)
    const { state, quality, stateAt } = peerIn(anna.agent.report, ben)
    assert.ok(state.state === 'linked' && state.path.kind === 'direct')
    assert.ok(stateAt <= world.clock.now() - 60_000)
    assert.ok(quality && quality.roundTripMs !== null && quality.jitterMs !== null)
    // 15 to 60 ms a way.
    assert.ok(quality.roundTripMs > 30 && quality.roundTripMs < 120, String(quality.roundTripMs))
    assert.equal(quality.lossRate, 0)
    assert.ok(quality.roundTrips.length >= 6)
    assert.deepEqual(quality.sent, { datagrams: 0, bytes: 0 })
  })
})

test('pings that get no answer show as loss', async () => {
  await inWorld({ seed: 507, loss: 0.3 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('both are linked', () => world.areLinked(anna, ben))
    await world.pass(20 * 60_000)
    const { quality } = peerIn(anna.agent.report, ben)
    assert.ok(quality?.lossRate && quality.lossRate > 0.2 && quality.lossRate < 0.8, `${quality?.lossRate}`)
  })
})
