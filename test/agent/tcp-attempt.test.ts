// One side's TCP connections with a peer, against another such side or against strangers, on virtual time.

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
const annas: CheckKeys = { tag, sendKey: one, receiveKey: two }
const bens: CheckKeys = { tag, sendKey: two, receiveKey: one }
const annasPlace: Endpoint = { address: '11.0.0.1', port: 1 }
const linkPacket = Uint8Array.of(1, 2, 3)

function placeOf(port: number): Endpoint {
  return { address: '11.0.0.2', port }
}

function targetAt(port: number): TcpTarget {
  return { candidate: { kind: 'host', endpoint: placeOf(port) }, isSimultaneous: false, isLan: false }
}

type Dial = Parameters<TcpAttemptOptions['tcp']['dial']>[0]

class Side {
  readonly paths: Path[] = []
  readonly packets: Uint8Array[] = []
  readonly gone: number[] = []
  readonly dials: (Dial & { readonly at: number; isGivenUp: boolean })[] = []
  currentPath: ReturnType<TcpAttemptOptions['currentPath']> = null
  readonly attempt: TcpAttempt

  constructor(clock: VirtualClock, keys: CheckKeys) {
    this.attempt = new TcpAttempt({
      ...{ clock, crypto, keys, sameNat: false },
      tcp: {
        dial: (dial) => {
          const dialled = { ...dial, at: clock.now(), isGivenUp: false }
          this.dials.push(dialled)
          return () => {
            dialled.isGivenUp = true
          }
        },
      },
      onPath: (path) => this.paths.push(path),
      onPacket: (bytes) => this.packets.push(bytes),
      onConnectionClosed: (via) => this.gone.push(via),
      currentPath: () => this.currentPath,
    })
  }
}

/** Both ends of a connection that is open now; what is told at the end that was called goes to `onFirst` first. */
function connect(onFirst: (connection: PacketConnection, bytes: Uint8Array) => boolean, calledPort: number) {
  const [near, far] = createDuplexPair()
  const caller = new PacketConnection(near as unknown as Socket, placeOf(calledPort), {
    onPacket: () => {},
    onClose: () => {},
  })
  const called: PacketConnection = new PacketConnection(far as unknown as Socket, annasPlace, {
    onPacket: (bytes) => {
      if (!onFirst(called, bytes)) called.close()
    },
    onClose: () => {},
  })
  return { caller, called }
}

/** What is under way between ends in memory arrives. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Anna calls Ben at this port, and both have proven it. */
async function meet(anna: Side, ben: Side, port: number): Promise<void> {
  const before = [anna.paths.length, ben.paths.length]
  anna.attempt.begin([targetAt(port)], 60_000)
  const { caller } = connect((connection, bytes) => ben.attempt.accept(connection, bytes), port)
  anna.dials.at(-1)?.onOpen(caller)
  await settle()
  assert.deepEqual(
    [anna.paths.length, ben.paths.length],
    before.map((count) => count + 1),
  )
}

function pair() {
  const clock = new VirtualClock()
  return { clock, anna: new Side(clock, annas), ben: new Side(clock, bens) }
}

test('who calls and who is called both prove the connection, and the link’s packets go over it', async () => {
  const { anna, ben } = pair()
  await meet(anna, ben, 1)
  assert.deepEqual(anna.paths[0]?.remote, placeOf(1))
  assert.deepEqual(ben.paths[0]?.remote, annasPlace)
  anna.attempt.send(linkPacket, anna.paths[0]?.via ?? 0)
  await settle()
  assert.deepEqual(
    ben.packets.map((bytes) => [...bytes]),
    [[...linkPacket]],
  )
  for (const { attempt } of [anna, ben]) attempt.stop()
})

test('a caller without the keys is told nothing and let go', async () => {
  const { ben } = pair()
  const heard: Uint8Array[] = []
  const { caller } = connect((connection, bytes) => ben.attempt.accept(connection, bytes), 1)
  caller.handlers = { onPacket: (bytes) => heard.push(bytes), onClose: () => heard.push(new Uint8Array()) }
  caller.send(crypto.randomBytes(60))
  await settle()
  // Only its end.
  assert.deepEqual(heard, [new Uint8Array()])
  assert.deepEqual(ben.paths, [])
})

test('link packets before the connection is proven end it', async () => {
  const { ben } = pair()
  const { caller, called } = connect((connection, bytes) => ben.attempt.accept(connection, bytes), 1)
  let ended = false
  caller.handlers = { onPacket: () => {}, onClose: () => (ended = true) }
  caller.send(linkPacket)
  await settle()
  assert.ok(ended)
  assert.deepEqual(ben.packets, [])
  called.close()
})

test('a peer may hold six connections, and no more', async () => {
  const { anna, ben } = pair()
  for (let port = 1; port <= 6; port++) await meet(anna, ben, port)
  const { caller } = connect((connection, bytes) => ben.attempt.accept(connection, bytes), 7)
  let ended = false
  caller.handlers = { onPacket: () => {}, onClose: () => (ended = true) }
  caller.send(crypto.randomBytes(60))
  await settle()
  assert.ok(ended)
  anna.attempt.begin([targetAt(8)], 60_000)
  const another = connect(() => true, 8)
  anna.dials.at(-1)?.onOpen(another.caller)
  await settle()
  assert.equal(anna.paths.length, 6)
  for (const { attempt } of [anna, ben]) attempt.stop()
})

test('rounds begin at full seconds, each calls anew, and after the time given nobody is called', async () => {
  const { clock, anna } = pair()
  await clock.advance(300)
  const from = clock.now()
  anna.attempt.begin([targetAt(1), targetAt(2)], 9_000)
  assert.equal(anna.dials.length, 2)
  await clock.advance(20_000)
  assert.ok(anna.dials.length >= 8)
  for (const { at } of anna.dials.slice(2)) assert.equal((clock.wallNow() - (clock.now() - at)) % 1_000, 0)
  assert.ok(anna.dials.every(({ at, isGivenUp }) => at < from + 9_000 && isGivenUp))
})

test('once a connection is proven nobody else is called', async () => {
  const { clock, anna, ben } = pair()
  anna.attempt.begin([targetAt(1), targetAt(2)], 60_000)
  const { caller } = connect((connection, bytes) => ben.attempt.accept(connection, bytes), 1)
  anna.dials[0]?.onOpen(caller)
  await settle()
  assert.equal(anna.paths.length, 1)
  assert.equal(anna.dials[1]?.isGivenUp, true)
  await clock.advance(20_000)
  assert.equal(anna.dials.length, 2)
  for (const { attempt } of [anna, ben]) attempt.stop()
})

test('a connection that nobody proves is closed within ten seconds', async () => {
  const { clock, anna } = pair()
  anna.attempt.begin([targetAt(1)], 60_000)
  const { caller, called } = connect(() => true, 1)
  let ended = false
  called.handlers = { onPacket: () => {}, onClose: () => (ended = true) }
  anna.dials[0]?.onOpen(caller)
  await settle()
  await clock.advance(10_001)
  await settle()
  assert.ok(ended)
  assert.deepEqual(anna.gone, [])
  anna.attempt.stop()
})

test('a proven connection is closed when it was silent for long, unless the link is heard on it', async () => {
  const { clock, anna, ben } = pair()
  await meet(anna, ben, 1)
  const via = anna.paths[0]?.via ?? 0
  anna.currentPath = { via, isSilent: false }
  ben.currentPath = { via: ben.paths[0]?.via ?? 0, isSilent: false }
  await clock.advance(120_000)
  assert.deepEqual(anna.gone, [])
  anna.currentPath = null
  await clock.advance(10_000)
  assert.deepEqual(anna.gone, [via])
  for (const { attempt } of [anna, ben]) attempt.stop()
})

test('who is silent on the path in use is waited for a third of that time', async () => {
  const { clock, anna, ben } = pair()
  await meet(anna, ben, 1)
  const via = anna.paths[0]?.via ?? 0
  anna.currentPath = { via, isSilent: true }
  await clock.advance(9_000)
  assert.deepEqual(anna.gone, [])
  await clock.advance(7_000)
  assert.deepEqual(anna.gone, [via])
  for (const { attempt } of [anna, ben]) attempt.stop()
})

test('a proven connection that the peer ends is told of once', async () => {
  const { anna, ben } = pair()
  await meet(anna, ben, 1)
  ben.attempt.stop()
  await settle()
  assert.deepEqual(anna.gone, [anna.paths[0]?.via])
  assert.deepEqual(ben.gone, [])
  anna.attempt.stop()
  assert.equal(anna.gone.length, 1)
})
