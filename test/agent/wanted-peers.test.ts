// Peers that the user connects to or disconnects from.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentReport } from '../../src/agent/agent.ts'
import { inWorld, nat, type Player } from '../harness/world.ts'

const nameOf = (player: Player) => ({ id: player.id, name: player.name })
const connect = (player: Player, other: Player) =>
  player.agent.connect(other.identity.publicKey, nameOf(other))
const disconnect = (player: Player, other: Player) => player.agent.disconnect(other.identity.publicKey)

function peerIn(report: AgentReport, other: Player) {
  const found = report.peers.find(({ peer }) => peer.id === other.id)
  assert.ok(found, other.name)
  return found
}

test('a link that the user ended stays closed until the user connects again', async () => {
  await inWorld({ seed: 501 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('both are linked', () => world.areLinked(anna, ben))
    disconnect(anna, ben)
    await world.until('the link ends', () => ben.emitted('disconnected', anna).length === 1)
    await world.pass(10 * 60_000)
    assert.equal(anna.emitted('disconnected', ben)[0]?.reason, 'closed')
    assert.equal(world.areLinked(anna, ben), false)
    assert.deepEqual(peerIn(anna.agent.report, ben).state, { state: 'gone', reason: 'closed' })
    connect(anna, ben)
    await world.until('both are linked again', () => world.areLinked(anna, ben))
  })
})

test('a peer wanted while its link is closing is connected again', async () => {
  await inWorld({ seed: 502 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('both are linked', () => world.areLinked(anna, ben))
    await world.pass(20_000)
    disconnect(anna, ben)
    connect(anna, ben)
    await world.until(
      'both are linked again',
      () => anna.emitted('connected', ben).length === 2 && world.areLinked(anna, ben),
    )
  })
})

test('an attempt that the user ended emits no more events, and the peer is known', async () => {
  await inWorld({ seed: 503 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna)
    anna.kill()
    await world.join(ben)
    await world.until('ben tries', () => ben.emitted('punching', anna).length === 1)
    assert.equal(peerIn(ben.agent.report, anna).state.state, 'trying')
    disconnect(ben, anna)
    assert.equal(peerIn(ben.agent.report, anna).state.state, 'known')
    await world.pass(10 * 60_000)
    assert.deepEqual([ben.emitted('failed').length, ben.emitted('disconnected').length], [0, 0])
  })
})

test('a wanted peer is connected beyond the wanted number of links', async () => {
  await inWorld({ seed: 504 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    const cleo = world.player('cleo', nat('EIM', 'APDF'), { settings: { links: 1 } })
    await world.join(anna, ben, cleo)
    await world.until('cleo has a link', () => cleo.emitted('connected').length === 1)
    await world.pass(30_000)
    const left = [anna, ben].find((player) => !cleo.isLinkedWith(player)) as Player
    assert.equal(peerIn(cleo.agent.report, left).state.state, 'known')
    connect(cleo, left)
    await world.until('cleo has both', () => world.areLinked(anna, cleo) && world.areLinked(ben, cleo))
  })
})

test('a wanted peer that has left fails, but only after a request to the host', async () => {
  await inWorld({ seed: 505 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('both are linked', () => world.areLinked(anna, ben))
    await world.finish(ben.stop())
    const before = anna.emitted('requested').length
    connect(anna, ben)
    await world.until('the attempt fails', () => anna.emitted('failed', ben).length === 1)
    assert.equal(anna.emitted('requested').length, before + 1)
    assert.match(anna.emitted('failed', ben)[0]?.reason ?? '', /did not offer/)
    assert.equal(peerIn(anna.agent.report, ben).state.state, 'failed')
  })
})

test('the report of a link has its path, its round-trip times and its traffic', async () => {
  await inWorld({ seed: 506 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('both are linked', () => world.areLinked(anna, ben))
    await world.pass(60_000)
    const { state, quality, stateAt } = peerIn(anna.agent.report, ben)
    assert.ok(state.state === 'linked' && state.path.kind === 'direct')
    assert.ok(stateAt <= world.clock.now() - 60_000)
    assert.ok(quality && quality.roundTripMs !== null && quality.jitterMs !== null)
    // 15 to 60 ms in each direction.
    assert.ok(quality.roundTripMs > 30 && quality.roundTripMs < 120, String(quality.roundTripMs))
    assert.equal(quality.lossRate, 0)
    assert.ok(quality.roundTrips.length >= 6)
    assert.deepEqual(quality.sent, { datagrams: 0, bytes: 0 })
  })
})

test('unanswered pings count as loss', async () => {
  await inWorld({ seed: 507, loss: 0.3 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('both are linked', () => world.areLinked(anna, ben))
    await world.pass(20 * 60_000)
    const { quality } = peerIn(anna.agent.report, ben)
    assert.ok(quality?.lossRate && quality.lossRate > 0.2 && quality.lossRate < 0.8, `${quality?.lossRate}`)
  })
})
