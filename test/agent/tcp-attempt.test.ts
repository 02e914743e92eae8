// The TCP connections of one side, with a peer or with strangers, on virtual time.

import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { TcpAttempt, type TcpAttemptOptions } from '../../src/agent/peers/tcp-attempt.ts'
import type { Endpoint } from '../../src/base/endpoint.ts'
import { createDuplexPair } from '../../src/forward/streams/memory-duplex.ts'
import { PacketConnection } from '../../src/net/tcp/packet-connection.ts'
import type { CheckKeys } from '../../src/punch/check-packet.ts'
import type { Path } from '../../src/punch/connectivity-checks.ts'
import type { TcpTarget } from '../../src/punch/tcp-targets.ts'
import { seededCrypto } from '../harness/seeded-crypto.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const crypto = seededCrypto(6)
const [tag, one, two] = [crypto.randomBytes(8), crypto.randomBytes(32), crypto.randomBytes(32)]
const annaKeys: CheckKeys = { tag, sendKey: one, receiveKey: two }
const benKeys: CheckKeys = { tag, sendKey: two, receiveKey: one }
const annaEndpoint: Endpoint = { address: '11.0.0.1', port: 1 }
const linkPacket = Uint8Array.of(1, 2, 3)

function endpointAt(port: number): Endpoint {
  return { address: '11.0.0.2', port }
}

function targetAt(port: number): TcpTarget {
  return { candidate: { kind: 'host', endpoint: endpointAt(port) }, isSimultaneous: false, isLan: false }
}

type Dial = Parameters<TcpAttemptOptions['tcp']['dial']>[0]

class Side {
  readonly paths: Path[] = []
  readonly packets: Uint8Array[] = []
  readonly closedVias: number[] = []
  readonly dials: (Dial & { readonly at: number; isCancelled: boolean })[] = []
  currentPath: ReturnType<TcpAttemptOptions['currentPath']> = null
  readonly attempt: TcpAttempt

  constructor(clock: VirtualClock, keys: CheckKeys) {
    this.attempt = new TcpAttempt({
      clock,
      crypto,
      keys,
      sameNat: false,
      tcp: {
        dial: (dial) => {
          const dialled = { ...dial, at: clock.now(), isCancelled: false }
          this.dials.push(dialled)
          return () => {
            dialled.isCancelled = true
          }
        },
      },
      onPath: (path) => this.paths.push(path),
      onPacket: (bytes) => this.packets.push(bytes),
      onConnectionClosed: (via) => this.closedVias.push(via),
      currentPath: () => this.currentPath,
    })
  }
}

/** Both ends of an open connection. `onFirst` gets the first packet at the accepting end. */
function connect(onFirst: (connection: PacketConnection, bytes: Uint8Array) => boolean, port: number) {
  const [near, far] = createDuplexPair()
  const dialler = new PacketConnection(near as unknown as Socket, endpointAt(port), {
    onPacket: () => {},
    onClose: () => {},
  })
  const acceptor: PacketConnection = new PacketConnection(far as unknown as Socket, annaEndpoint, {
    onPacket: (bytes) => {
      if (!onFirst(acceptor, bytes)) acceptor.close()
    },
    onClose: () => {},
  })
  return { dialler, acceptor }
}

/** Waits until all bytes in memory have arrived. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Anna dials Ben at this port, and both prove the connection. */
async function connectBoth(anna: Side, ben: Side, port: number): Promise<void> {
  const before = [anna.paths.length, ben.paths.length]
  anna.attempt.begin([targetAt(port)], 60_000)
  const { dialler } = connect((connection, bytes) => ben.attempt.accept(connection, bytes), port)
  anna.dials.at(-1)?.onOpen(dialler)
  await settle()
  assert.deepEqual(
    [anna.paths.length, ben.paths.length],
    before.map((count) => count + 1),
  )
}

function pair() {
  const clock = new VirtualClock()
  return { clock, anna: new Side(clock, annaKeys), ben: new Side(clock, benKeys) }
}

test('the dialling and the accepting side both prove the connection, and link packets use it', async () => {
  const { anna, ben } = pair()
  await connectBoth(anna, ben, 1)
  assert.deepEqual(anna.paths[0]?.remote, endpointAt(1))
  assert.deepEqual(ben.paths[0]?.remote, annaEndpoint)
  anna.attempt.send(linkPacket, anna.paths[0]?.via ?? 0)
  await settle()
  assert.deepEqual(
    ben.packets.map((bytes) => [...bytes]),
    [[...linkPacket]],
  )
  for (const { attempt } of [anna, ben]) attempt.stop()
})

test('a dialler without the keys gets no answer and is closed', async () => {
  const { ben } = pair()
  const heard: Uint8Array[] = []
  const { dialler } = connect((connection, bytes) => ben.attempt.accept(connection, bytes), 1)
  dialler.handlers = { onPacket: (bytes) => heard.push(bytes), onClose: () => heard.push(new Uint8Array()) }
  dialler.send(crypto.randomBytes(60))
  await settle()
  // Only the close arrives.
  assert.deepEqual(heard, [new Uint8Array()])
  assert.deepEqual(ben.paths, [])
})

test('link packets before the connection is proven close it', async () => {
  const { ben } = pair()
  const { dialler, acceptor } = connect((connection, bytes) => ben.attempt.accept(connection, bytes), 1)
  let ended = false
  dialler.handlers = { onPacket: () => {}, onClose: () => (ended = true) }
  dialler.send(linkPacket)
  await settle()
  assert.ok(ended)
  assert.deepEqual(ben.packets, [])
  acceptor.close()
})

test('a peer can have at most six connections', async () => {
  const { anna, ben } = pair()
  for (let port = 1; port <= 6; port++) await connectBoth(anna, ben, port)
  const { dialler } = connect((connection, bytes) => ben.attempt.accept(connection, bytes), 7)
  let ended = false
  dialler.handlers = { onPacket: () => {}, onClose: () => (ended = true) }
  dialler.send(crypto.randomBytes(60))
  await settle()
  assert.ok(ended)
  anna.attempt.begin([targetAt(8)], 60_000)
  const another = connect(() => true, 8)
  anna.dials.at(-1)?.onOpen(another.dialler)
  await settle()
  assert.equal(anna.paths.length, 6)
  for (const { attempt } of [anna, ben]) attempt.stop()
})

test('rounds start at full seconds, each dials again, and dialling stops after the given time', async () => {
  const { clock, anna } = pair()
  await clock.advance(300)
  const from = clock.now()
  anna.attempt.begin([targetAt(1), targetAt(2)], 9_000)
  assert.equal(anna.dials.length, 2)
  await clock.advance(20_000)
  assert.ok(anna.dials.length >= 8)
  for (const { at } of anna.dials.slice(2)) assert.equal((clock.wallNow() - (clock.now() - at)) % 1_000, 0)
  assert.ok(anna.dials.every(({ at, isCancelled }) => at < from + 9_000 && isCancelled))
})

test('once a connection is proven, dialling stops', async () => {
  const { clock, anna, ben } = pair()
  anna.attempt.begin([targetAt(1), targetAt(2)], 60_000)
  const { dialler } = connect((connection, bytes) => ben.attempt.accept(connection, bytes), 1)
  anna.dials[0]?.onOpen(dialler)
  await settle()
  assert.equal(anna.paths.length, 1)
  assert.equal(anna.dials[1]?.isCancelled, true)
  await clock.advance(20_000)
  assert.equal(anna.dials.length, 2)
  for (const { attempt } of [anna, ben]) attempt.stop()
})

test('a connection that is not proven is closed within ten seconds', async () => {
  const { clock, anna } = pair()
  anna.attempt.begin([targetAt(1)], 60_000)
  const { dialler, acceptor } = connect(() => true, 1)
  let ended = false
  acceptor.handlers = { onPacket: () => {}, onClose: () => (ended = true) }
  anna.dials[0]?.onOpen(dialler)
  await settle()
  await clock.advance(10_001)
  await settle()
  assert.ok(ended)
  assert.deepEqual(anna.closedVias, [])
  anna.attempt.stop()
})

test('a proven connection is closed after a long silence, unless the link uses it', async () => {
  const { clock, anna, ben } = pair()
  await connectBoth(anna, ben, 1)
  const via = anna.paths[0]?.via ?? 0
  anna.currentPath = { via, isSilent: false }
  ben.currentPath = { via: ben.paths[0]?.via ?? 0, isSilent: false }
  await clock.advance(120_000)
  assert.deepEqual(anna.closedVias, [])
  anna.currentPath = null
  await clock.advance(10_000)
  assert.deepEqual(anna.closedVias, [via])
  for (const { attempt } of [anna, ben]) attempt.stop()
})

test('silence on the path in use closes it after a third of that time', async () => {
  const { clock, anna, ben } = pair()
  await connectBoth(anna, ben, 1)
  const via = anna.paths[0]?.via ?? 0
  anna.currentPath = { via, isSilent: true }
  await clock.advance(9_000)
  assert.deepEqual(anna.closedVias, [])
  await clock.advance(7_000)
  assert.deepEqual(anna.closedVias, [via])
  for (const { attempt } of [anna, ben]) attempt.stop()
})

test('a proven connection that the peer closes is reported once', async () => {
  const { anna, ben } = pair()
  await connectBoth(anna, ben, 1)
  ben.attempt.stop()
  await settle()
  assert.deepEqual(anna.closedVias, [anna.paths[0]?.via])
  assert.deepEqual(ben.closedVias, [])
  anna.attempt.stop()
  assert.equal(anna.closedVias.length, 1)
})
