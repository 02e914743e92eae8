// TCP listeners and connections for packets, on loopback.

import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { framePacket } from '../../src/link/tcp-framing.ts'
import { maxUnsentBytes, PacketConnection } from '../../src/net/tcp/packet-connection.ts'
import { maxWaitingMs, openPacketListener, waitingLimits } from '../../src/net/tcp/packet-listener.ts'
import { openTcpListener } from '../../src/net/tcp/tcp-listener.ts'
import { deferIn } from '../harness/defer.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const validPacket = Uint8Array.of(1, 2, 3)

async function open(context: TestContext) {
  const defer = deferIn(context)
  const clock = new VirtualClock()
  const accepted: PacketConnection[] = []
  const port = await openPacketListener({
    clock,
    family: 4,
    onFirstPacket: (connection, packet) => {
      const isValid = packet[0] === validPacket[0]
      if (isValid) accepted.push(connection)
      return isValid
    },
  })
  defer(() => port.close())
  const connectTo = async () => {
    const socket: Socket = connect({ host: '127.0.0.1', port: port.local.port })
    defer(() => socket.destroy())
    let received = 0
    socket.on('data', ({ length }) => {
      received += length
    })
    socket.on('error', () => {})
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    await new Promise((resolve) => socket.once('connect', resolve))
    return { socket, closed, received: () => received }
  }
  return { defer, clock, accepted, port, connectTo }
}

test('a connection without a packet in time is closed, and nothing was sent to it', async (context) => {
  const { clock, connectTo } = await open(context)
  const silent = await connectTo()
  silent.socket.write(framePacket(validPacket).subarray(0, 3))
  const partial = await connectTo()
  // By now both were accepted.
  partial.socket.write(framePacket(validPacket).subarray(0, 1))
  while (clock.pendingTimers < 2) await new Promise((resolve) => setImmediate(resolve))
  await clock.advance(maxWaitingMs)
  await Promise.all([silent.closed, partial.closed])
  assert.equal(silent.received() + partial.received(), 0)
})

test('a connection with an unknown packet or malformed data is closed at once', async (context) => {
  const { connectTo, accepted } = await open(context)
  for (const bytes of [framePacket(Uint8Array.of(9)), Uint8Array.of(0, 0), Uint8Array.of(255, 255)]) {
    const stranger = await connectTo()
    stranger.socket.write(bytes)
    await stranger.closed
    assert.equal(stranger.received(), 0)
  }
  assert.equal(accepted.length, 0)
})

test('only a few connections of one address may wait at a time', async (context) => {
  const { connectTo } = await open(context)
  for (let index = 0; index < waitingLimits.perSource; index++) await connectTo()
  await (await connectTo()).closed
})

test('an accepted connection stays open, and carries packets both ways', async (context) => {
  const { clock, connectTo, accepted } = await open(context)
  const peer = await connectTo()
  peer.socket.write(framePacket(validPacket))
  while (accepted.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await clock.advance(2 * maxWaitingMs)
  const [connection] = accepted
  assert.ok(connection)
  const received = new Promise<Uint8Array>((resolve) => {
    connection.handlers = { onPacket: resolve, onClose: () => {} }
  })
  peer.socket.write(framePacket(Uint8Array.of(4, 5)))
  assert.deepEqual(Uint8Array.from(await received), Uint8Array.of(4, 5))
  const back = new Promise<Buffer>((resolve) => peer.socket.once('data', resolve))
  connection.send(Uint8Array.of(6))
  assert.deepEqual([...(await back)], [0, 1, 6])
  connection.close()
  await peer.closed
})

test('packets that the other side does not read are dropped beyond a bound', async (context) => {
  const defer = deferIn(context)
  const sockets: Socket[] = []
  const listener = await openTcpListener({
    family: 4,
    address: '127.0.0.1',
    onConnection: (socket) => sockets.push(socket.pause()),
  })
  defer(() => listener.close())
  const socket: Socket = connect(listener.local.port, '127.0.0.1')
  defer(() => socket.destroy())
  defer(() => {
    for (const accepted of sockets) accepted.destroy()
  })
  await new Promise((resolve) => socket.once('connect', resolve))
  const connection = new PacketConnection(socket, listener.local, { onPacket: () => {}, onClose: () => {} })
  for (let index = 0; index < 20_000; index++) connection.send(new Uint8Array(1_472))
  assert.ok(socket.writableLength <= maxUnsentBytes + 1_474)
  connection.close()
})
