// The control API of agents in the simulated world.

import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { AgentEvent } from '../../src/agent/agent.ts'
import { agentRoutes } from '../../src/api/agent-routes.ts'
import { AgentControl } from '../../src/daemon/agent-control.ts'
import { FriendsAndBlocked } from '../../src/daemon/friends-and-blocked.ts'
import { describeAgentEvent } from '../../src/wording/event-text.ts'
import { inWorld, nat, type Player, type World } from '../harness/world.ts'
import { ApiClient } from './api-client.ts'
import { assertExposition } from './exposition-format.ts'

const asked = new Set<string>()
const folder = mkdtempSync(join(tmpdir(), 'peerpost-control-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let files = 0

/** A player whose agent runs with an AgentControl and a control API, as in the command. */
function controlled(world: World, player: Player) {
  const file = join(folder, `${++files}.json`)
  const standings = new FriendsAndBlocked(file, { friends: [], blocked: [] })
  const control = new AgentControl({
    clock: world.clock,
    makeAgent: (onEvent, forwards) => player.make(standings, onEvent, forwards),
    friendsAndBlocked: standings,
    name: player.name,
    id: player.id,
    room: 'lobby',
    invite: 'peerpost1invite',
    exposes: ['udp:7777'],
    forwards: [],
    onEvent: (event) => {
      player.events.push({ ...event, at: world.clock.now() })
      client.log.add(event)
    },
  })
  const client: ApiClient = new ApiClient(world.clock, agentRoutes(control), (event) =>
    describeAgentEvent(event as AgentEvent),
  )
  const ask = async (method: string, path: string, body?: object) => {
    const answer = await client.ask(method, path, body)
    for (const route of client.asked) asked.add(route)
    return answer
  }
  return {
    client,
    control,
    standings,
    file,
    ask,
    status: async () => (await ask('GET', '/v1/status')).body,
    peer: async (name: string) =>
      (await ask('GET', '/v1/peers')).body.peers.find((peer: { name: string }) => peer.name === name),
  }
}

const isLinked = (one: Player, other: Player) => () => one.isLinkedWith(other) && other.isLinkedWith(one)

test('the API shows status, players and links from joining a room to leaving it', async () => {
  await inWorld({ seed: 601 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    const api = controlled(world, anna)
    assert.deepEqual([(await api.status()).state, (await api.status()).nat], ['starting', null])
    await world.finish(api.control.start())
    const joined = await api.status()
    assert.deepEqual([joined.state, joined.mailbox.state, joined.room], ['joined', 'connected', 'lobby'])
    assert.equal(joined.nat.mapping, 'EIM')
    assert.match(joined.nat.words[0], /keeps one port for all destinations/)
    await world.join(ben)
    await world.until('they are linked', isLinked(anna, ben))
    await world.pass(30_000)
    const peer = await api.peer('ben')
    assert.deepEqual([peer.state, peer.path.kind, peer.plan], ['linked', 'direct', 'direct'])
    assert.match(peer.planWords, /all of its addresses/)
    assert.ok(peer.quality.roundTripMs > 20 && peer.quality.roundTrips.length > 1)
    assert.deepEqual((await api.ask('GET', `/v1/peers/${ben.id}`)).body, peer)
    const told = JSON.stringify([await api.status(), await api.ask('GET', '/v1/peers')])
    for (const player of [anna, ben]) {
      for (const { public: seen } of player.emitted('nat')) {
        for (const endpoint of seen) assert.ok(!told.includes(endpoint.replace(/:\d+$/, '')), endpoint)
      }
    }
    await world.finish(ben.stop())
    assert.deepEqual(
      [(await api.peer('ben')).state, (await api.peer('ben')).reason],
      ['gone', 'closed-by-peer'],
    )
    await world.finish(api.control.stop())
  })
})

test('an agent leaves the room with a goodbye, and joins it again', async () => {
  await inWorld({ seed: 602 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    const api = controlled(world, anna)
    await world.finish(api.control.start())
    await world.join(ben)
    await world.until('they are linked', isLinked(anna, ben))
    assert.equal((await api.ask('POST', '/v1/room/leave')).body.state, 'leaving')
    assert.equal((await api.ask('POST', '/v1/room/join')).status, 409)
    await world.until('the room is left', () => anna.emitted('left').length === 1)
    const left = await api.status()
    assert.deepEqual([left.state, left.mailbox.state, left.nat], ['left', 'closed', null])
    assert.equal(ben.emitted('disconnected', anna)[0]?.reason, 'closed-by-peer')
    await world.until('the host is told', () => world.accepted('leave') === 1)
    const refused = await api.ask('POST', '/v1/peers/ben/connect')
    assert.deepEqual([refused.status, refused.body.error.code], [409, 'not-joined'])
    assert.equal((await api.ask('POST', '/v1/room/join')).body.state, 'starting')
    await world.until('they are linked again', isLinked(anna, ben))
    assert.equal((await api.status()).state, 'joined')
    await world.finish(api.control.stop())
  })
})

test('joining the current room asks the host again, but not too often', async () => {
  await inWorld({ seed: 603 }, async (world) => {
    const anna = world.player('anna')
    const api = controlled(world, anna)
    await world.finish(api.control.start())
    await world.pass(20_000)
    for (let i = 0; i < 5; i++) await api.ask('POST', '/v1/room/join')
    await world.pass(10_000)
    assert.equal(anna.emitted('requested').length, 2)
    await world.finish(api.control.stop())
  })
})

test('blocking a player ends the link for good and is stored, and unblocking allows it again', async () => {
  await inWorld({ seed: 604 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    const api = controlled(world, anna)
    await world.finish(api.control.start())
    await world.join(ben)
    await world.until('they are linked', isLinked(anna, ben))
    assert.equal((await api.ask('PUT', '/v1/blocked/ben')).status, 200)
    await world.until('the link ends', () => ben.emitted('disconnected', anna).length === 1)
    assert.equal(statSync(api.file).mode & 0o777, 0o600)
    const again = new FriendsAndBlocked(api.file, { friends: [], blocked: [] })
    assert.deepEqual(again.list('blocked'), [{ id: ben.id, name: 'ben' }])
    const before = anna.emitted('introduced', ben).length
    ben.agent.requestSoon()
    await world.pass(5 * 60_000)
    assert.equal(anna.emitted('introduced', ben).length, before)
    assert.equal((await api.peer('ben')).standing, 'blocked')
    assert.equal((await api.ask('POST', '/v1/peers/ben/connect')).body.error.code, 'blocked')
    assert.equal((await api.ask('DELETE', '/v1/blocked/ben')).status, 200)
    assert.equal((await api.ask('POST', '/v1/peers/ben/connect')).status, 200)
    await world.until('they are linked again', isLinked(anna, ben), 120_000)
    await world.finish(api.control.stop())
  })
})

test('a disconnected player stays disconnected, even if it asks, until connect', async () => {
  await inWorld({ seed: 605 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    const api = controlled(world, anna)
    await world.finish(api.control.start())
    await world.join(ben)
    await world.until('they are linked', isLinked(anna, ben))
    await api.ask('POST', `/v1/peers/${ben.id}/disconnect`)
    await world.until('the link ends', () => ben.emitted('disconnected', anna).length === 1)
    ben.agent.requestSoon()
    await world.pass(5 * 60_000)
    assert.equal(isLinked(anna, ben)(), false)
    assert.equal((await api.peer('ben')).standing, 'none')
    await api.ask('POST', '/v1/peers/ben/connect')
    await world.until('they are linked again', isLinked(anna, ben), 120_000)
    await world.finish(api.control.stop())
  })
})

test('a forward is opened, stays after leaving and joining, and is closed again', async () => {
  const taken = createSocket('udp4').bind(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address()
  await inWorld({ seed: 610 }, async (world) => {
    const anna = world.player('anna')
    const api = controlled(world, anna)
    const open = (forward: string) => api.ask('POST', '/v1/forwards', { forward })
    assert.equal((await open('udp:7000=ben:7777')).body.error.code, 'not-joined')
    await world.finish(api.control.start())
    assert.equal((await open('udp:7000')).body.error.code, 'usage')
    assert.equal((await open(`udp:${port}=ben:7777`)).body.error.code, 'port-taken')
    assert.deepEqual((await api.ask('GET', '/v1/ports')).body, { forwards: [], exposes: ['udp:7777'] })
    taken.close()
    await once(taken, 'close')
    const text = `udp:${port}=ben:7777`
    assert.equal((await open(text)).status, 200)
    assert.equal((await open(text)).body.error.code, 'usage', 'a local port can be had once')
    await api.ask('POST', '/v1/room/leave')
    await world.until('the room is left', () => anna.emitted('left').length === 1)
    await api.ask('POST', '/v1/room/join')
    await world.until('anna is back', () => anna.emitted('ready').length === 2)
    assert.deepEqual((await api.status()).forwards, [text])
    assert.equal(anna.emitted('forward').length, 2)
    assert.equal((await api.ask('DELETE', `/v1/forwards/udp:${port}`)).status, 200)
    assert.equal((await api.ask('DELETE', `/v1/forwards/udp:${port}`)).body.error.code, 'unknown-forward')
    const again = createSocket('udp4').bind(port, '127.0.0.1')
    await once(again, 'listening')
    again.close()
    await world.finish(api.control.stop())
  })
})

test('friends are listed, and two players with one name must be named by their IDs', async () => {
  await inWorld({ seed: 606 }, async (world) => {
    const anna = world.player('anna')
    const [one, two] = [world.player('ben'), world.player('ben')]
    const api = controlled(world, anna)
    await world.join(one, two)
    await world.finish(api.control.start())
    await world.until('both are linked', () => isLinked(anna, one)() && isLinked(anna, two)())
    assert.equal((await api.ask('PUT', '/v1/friends/ben')).body.error.code, 'ambiguous')
    assert.equal((await api.ask('PUT', '/v1/friends/nobody')).body.error.code, 'unknown-peer')
    assert.equal((await api.ask('PUT', `/v1/friends/${two.id}`)).status, 200)
    assert.deepEqual((await api.ask('GET', '/v1/standings')).body.friends, [{ id: two.id, name: 'ben' }])
    assert.ok(api.standings.friends.size === 1)
    await api.ask('DELETE', `/v1/friends/${two.id}`)
    assert.deepEqual((await api.ask('GET', '/v1/standings')).body, { friends: [], blocked: [] })
    await world.finish(api.control.stop())
  })
})

test('a player who cannot be reached is shown with the reason and advice', async () => {
  await inWorld({ seed: 607 }, async (world) => {
    const random = nat('APDM', 'APDF', { allocation: 'random' })
    const [anna, ben] = [world.player('anna', random), world.player('ben', random)]
    const api = controlled(world, anna)
    await world.finish(api.control.start())
    await world.join(ben)
    await world.until('anna is told', () => anna.emitted('failed', ben).length === 1)
    const peer = await api.peer('ben')
    assert.equal(peer.state, 'failed')
    assert.match(peer.advice, /UPnP|IPv6/)
    assert.match(peer.natWords, /another port for each/)
    await world.finish(api.control.stop())
  })
})

test('an agent is ready while it is in the room and its mailbox is connected, and its metrics name no player', async () => {
  await inWorld({ seed: 610 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    const api = controlled(world, anna)
    assert.equal((await api.ask('GET', '/readyz')).body.error.code, 'not-ready')
    await world.finish(api.control.start())
    await world.join(ben)
    await world.until('they are linked', isLinked(anna, ben))
    assert.equal((await api.ask('GET', '/readyz')).status, 200)
    assert.equal((await api.ask('GET', '/healthz')).status, 200)
    const numbers: string = (await api.ask('GET', '/metrics')).body
    assertExposition(numbers)
    assert.ok(numbers.includes('peerpost_ready 1\n'))
    assert.ok(numbers.includes('peerpost_peers{state="linked"} 1\n'))
    assert.ok(!numbers.includes(ben.id) && !numbers.includes('ben'))
    await api.ask('POST', '/v1/room/leave')
    assert.equal((await api.ask('GET', '/readyz')).status, 503)
    await world.finish(api.control.stop())
  })
})

test('the API returns the invite', async () => {
  await inWorld({ seed: 608 }, async (world) => {
    const api = controlled(world, world.player('anna'))
    assert.equal((await api.ask('GET', '/v1/room/invite')).body.invite, 'peerpost1invite')
  })
})

test('the event stream contains the events, with masked words on request', async () => {
  await inWorld({ seed: 609 }, async (world) => {
    const anna = world.player('anna')
    const api = controlled(world, anna)
    await world.finish(api.control.start())
    const reader = (await api.client.raw('GET', '/v1/events?words=1')).body?.getReader()
    assert.ok(reader)
    let text = ''
    while (!text.includes('"event":"ready"')) text += new TextDecoder().decode((await reader.read()).value)
    assert.match(text, /id: run-1\ndata: \{/)
    assert.match(text, /"text":"anna is ready for the room lobby\./)
    await reader.cancel()
    await world.finish(api.control.stop())
  })
})

test('these tests call every route of an agent', () => {
  const routes = agentRoutes({} as AgentControl).map(({ method, path }) => `${method} ${path}`)
  assert.deepEqual([...asked].sort(), routes.sort())
})
