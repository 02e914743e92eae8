// The agent's sockets: which packets go where, and closing at any moment.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Network } from '../../src/agent/network/network.ts'
import type { NetworkIo } from '../../src/agent/network/network-io.ts'
import type { Endpoint } from '../../src/base/endpoint.ts'
import type { UdpOptions } from '../../src/net/udp/udp-socket.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const server = { address: '11.0.0.1', port: 3478 }
const own = { address: '192.168.1.5', port: 4000 }
const peer = { address: '11.0.9.9', port: 5000 }

function makeNetwork(changes: Partial<NetworkIo> = {}, portMapping = true) {
  const clock = new VirtualClock()
  const state = {
    opened: 0,
    closed: 0,
    packets: 0,
    candidateChanges: 0,
    notices: [] as string[],
    sent: [] as Endpoint[],
  }
  let deliver: UdpOptions['onDatagram'] = () => {}
  const io: NetworkIo = {
    openUdpSocket: async (options) => {
      state.opened++
      deliver = options.onDatagram
      return {
        family: 4,
        local: { address: '0.0.0.0', port: 4000 },
        send: (_bytes, to) => state.sent.push(to),
        stats: () => ({ sent: 0, received: 0, sendFailures: 0, dropped: 0 }),
        close: async () => {
          state.closed++
        },
      }
    },
    hostEndpoints: () => [own],
    resolveServers: async () => ({ endpoints: [server], failures: [] }),
    ...changes,
  }
  const network = new Network({
    clock,
    crypto: realCrypto,
    io,
    port: 0,
    stunServers: ['stun.test'],
    keepaliveMs: 8_000,
    portMapping,
    onCandidatesChange: () => state.candidateChanges++,
    onView: () => {},
    onPacket: () => state.packets++,
    onNotice: (notice) => state.notices.push(notice),
  })
  return { clock, state, io, network, deliver: (bytes: Uint8Array) => deliver(bytes, server) }
}

test('the first byte tells STUN packets from those of peers: below 0x40 is STUN', async () => {
  const { clock, state, network, deliver } = makeNetwork()
  void network.open()
  await clock.advance(5_000)
  for (let first = 0; first < 256; first++) deliver(Uint8Array.of(first, 0, 0, 0))
  deliver(new Uint8Array(0))
  assert.equal(state.packets, 256 - 0x40)
  await network.close()
})

test('when all servers are silent, the first view still comes within seconds', async () => {
  const { clock, network } = makeNetwork()
  let isOpen = false
  void network.open().then(() => {
    isOpen = true
  })
  await clock.advance(4_000)
  assert.ok(isOpen)
  assert.equal(network.nat.mapping, 'unknown')
  assert.deepEqual(network.candidates, [{ kind: 'host', endpoint: own }])
  await network.close()
})

test('an unknown server name emits a notice, and the other servers are used', async () => {
  const { clock, state, network } = makeNetwork({
    resolveServers: async () => ({
      endpoints: [server],
      failures: [{ server: 'nowhere.test', reason: 'no such name.' }],
    }),
  })
  void network.open()
  await clock.advance(100)
  assert.deepEqual(state.notices, ['The STUN server nowhere.test cannot be asked: no such name.'])
  assert.deepEqual(state.sent, [server])
  await network.close()
})

test('closing ends an open that waits for the first view, and leaves no timer', async () => {
  const { clock, state, network } = makeNetwork()
  const opening = network.open()
  await clock.advance(100)
  await network.close()
  await opening
  assert.equal(clock.pendingTimers, 0)
  assert.equal(state.closed, 1)
})

test('closing waits for a socket that is being opened and closes it', async () => {
  let open = () => {}
  const made = makeNetwork()
  const { io, state, network, clock } = makeNetwork({
    openUdpSocket: async (options) => {
      await new Promise<void>((resolve) => {
        open = resolve
      })
      return made.io.openUdpSocket(options)
    },
  })
  assert.ok(io)
  const opening = network.open()
  const closing = network.close()
  open()
  await closing
  await opening
  assert.equal(made.state.opened, 1)
  assert.equal(made.state.closed, 1)
  assert.deepEqual(state.sent, [])
  assert.equal(clock.pendingTimers, 0)
})

test('after closing during name lookup, no server gets a request', async () => {
  let resolve = () => {}
  const { state, network, clock } = makeNetwork({
    resolveServers: () =>
      new Promise((done) => {
        resolve = () => done({ endpoints: [server], failures: [{ server: 'x', reason: 'y.' }] })
      }),
  })
  const opening = network.open()
  await clock.advance(10)
  await network.close()
  resolve()
  await opening
  assert.deepEqual([state.sent, state.notices], [[], []])
  assert.equal(clock.pendingTimers, 0)
})

test('a socket set has more sockets: 0 is the main one, the others are new and have their own packets', async () => {
  const { clock, state, network, deliver } = makeNetwork()
  void network.open()
  await clock.advance(5_000)
  assert.deepEqual(network.servers, [server])
  const heard: [via: number, first: number | undefined][] = []
  const sockets = network.sockets(
    (bytes, _from, via) => heard.push([via, bytes[0]]),
    () => assert.fail('every socket opens'),
  )
  const before = state.sent.length
  sockets.send(Uint8Array.of(0xc1), peer, 0)
  assert.deepEqual([state.opened, state.sent.slice(before)], [1, [peer]])
  sockets.send(Uint8Array.of(0xc1), peer, 7)
  await clock.advance(1)
  assert.deepEqual([state.opened, state.sent.slice(before)], [2, [peer, peer]])
  // From here on `deliver` belongs to the socket that was opened last.
  deliver(Uint8Array.of(0x01))
  deliver(Uint8Array.of(0xc1))
  assert.deepEqual(
    heard,
    [
      [7, 0x01],
      [7, 0xc1],
    ],
    'STUN too',
  )
  assert.equal(state.packets, 0)
  sockets.closeAll()
  await network.close()
  assert.equal(state.closed, 2)
})

test('a socket that cannot be opened is reported to its user', async () => {
  const made = makeNetwork()
  let opened = 0
  const { clock, network } = makeNetwork({
    openUdpSocket: (options) =>
      opened++ === 0 ? made.io.openUdpSocket(options) : Promise.reject(new Error('EMFILE')),
  })
  void network.open()
  await clock.advance(5_000)
  const failed: number[] = []
  const sockets = network.sockets(
    () => {},
    (via) => failed.push(via),
  )
  sockets.send(Uint8Array.of(0xc1), peer, 3)
  await clock.advance(1)
  assert.deepEqual(failed, [3])
  await network.close()
})

test('a computer with IPv6 has one socket per family on the same port and sends on the matching one', async () => {
  const ipv6Endpoint = { address: '2a01::5', port: 4000 }
  const ipv6Server = { address: '2a00::1', port: 3478 }
  const opened: { family: number; port: number | undefined }[] = []
  const sent: [family: number, to: Endpoint][] = []
  const closed: number[] = []
  const { clock, network } = makeNetwork({
    openUdpSocket: async ({ family, port }) => {
      opened.push({ family, port })
      return {
        family,
        local: { address: family === 4 ? '0.0.0.0' : '::', port: 4000 },
        send: (_bytes, to) => sent.push([family, to]),
        stats: () => ({ sent: 0, received: 0, sendFailures: 0, dropped: 0 }),
        close: async () => void closed.push(family),
      }
    },
    hostEndpoints: (sockets) => sockets.map(({ address }) => (address === '::' ? ipv6Endpoint : own)),
    resolveServers: async (_servers, { families }) => {
      assert.deepEqual(families, [4, 6])
      return { endpoints: [server, ipv6Server], failures: [] }
    },
  })
  void network.open()
  await clock.advance(5_000)
  assert.deepEqual(
    opened.map(({ family, port }) => [family, port]),
    [
      [4, 0],
      [6, 0],
    ],
  )
  assert.ok(sent.some(([family, to]) => family === 4 && to === server))
  assert.ok(sent.some(([family, to]) => family === 6 && to === ipv6Server))
  sent.length = 0
  network.send(Uint8Array.of(0xc1), peer)
  network.send(Uint8Array.of(0xc1), ipv6Server)
  assert.deepEqual(sent, [
    [4, peer],
    [6, ipv6Server],
  ])
  assert.deepEqual(network.candidates, [
    { kind: 'host', endpoint: own },
    { kind: 'host', endpoint: ipv6Endpoint },
  ])
  await network.close()
  assert.deepEqual(closed, [4, 6])
})

test('a listed IPv6 address that cannot be used causes no error and no notice', async () => {
  const made = makeNetwork()
  const { clock, state, network } = makeNetwork({
    openUdpSocket: (options) =>
      options.family === 4 ? made.io.openUdpSocket(options) : Promise.reject(new Error('EAFNOSUPPORT')),
    hostEndpoints: (sockets) =>
      sockets.map(({ address }) => (address === '::' ? { address: '2a01::5', port: 4000 } : own)),
  })
  void network.open()
  await clock.advance(5_000)
  network.send(Uint8Array.of(0xc1), { address: '2a01::6', port: 1 })
  assert.deepEqual(network.candidates, [{ kind: 'host', endpoint: own }])
  assert.deepEqual(state.notices, [])
  await network.close()
})

test('there are never more candidates than a request may have', async () => {
  const many = Array.from({ length: 40 }, (_, index) => ({ address: `10.0.0.${index}`, port: 4000 }))
  const { clock, network } = makeNetwork({ hostEndpoints: () => many })
  void network.open()
  await clock.advance(5_000)
  assert.equal(network.candidates.length, 16)
  await network.close()
})

/** Maps every requested port at once. */
function makeRouter() {
  const requestedPorts: number[] = []
  const state = { closed: 0 }
  const mapPort: NetworkIo['mapPort'] = async ({ port, onChange }) => {
    requestedPorts.push(port)
    onChange({ external: { address: '11.9.0.10', port }, language: 'PCP', router: '192.168.1.1' })
    return { settled: Promise.resolve(), close: async () => void state.closed++ }
  }
  return { requestedPorts, state, mapPort }
}

test('a port that the router opened is the first candidate, and its mapping is removed on close', async () => {
  const router = makeRouter()
  const { clock, state, network } = makeNetwork({ mapPort: router.mapPort })
  void network.open()
  await clock.advance(5_000)
  assert.deepEqual(router.requestedPorts, [4000])
  assert.deepEqual(network.candidates, [
    { kind: 'port-mapped', endpoint: { address: '11.9.0.10', port: 4000 } },
    { kind: 'host', endpoint: own },
  ])
  assert.equal(state.candidateChanges, 0)
  await network.close()
  assert.deepEqual([router.state.closed, clock.pendingTimers], [1, 0])
})

test('the router is not asked when mapping is off or all STUN servers are on this computer', async () => {
  const router = makeRouter()
  const here = { endpoints: [{ address: '127.0.0.1', port: 3478 }], failures: [] }
  for (const { network, clock } of [
    makeNetwork({ mapPort: router.mapPort }, false),
    makeNetwork({ mapPort: router.mapPort, resolveServers: async () => here }),
  ]) {
    void network.open()
    await clock.advance(5_000)
    await network.close()
  }
  assert.deepEqual(router.requestedPorts, [])
})

test('the router is also asked when no STUN server is known', async () => {
  const router = makeRouter()
  const { network, clock } = makeNetwork({
    mapPort: router.mapPort,
    resolveServers: async () => ({ endpoints: [], failures: [] }),
  })
  void network.open()
  await clock.advance(5_000)
  assert.deepEqual(router.requestedPorts, [4000])
  await network.close()
})
