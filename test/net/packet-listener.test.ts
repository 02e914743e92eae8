// TCP ports and connections for packets, on loopback.

import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { framePacket } from '../../src/link/tcp-framing.ts'
import { maxUnsentBytes, PacketConnection } from '../../src/net/tcp/packet-connection.ts'
import { mostWaitingMs, openPacketListener, waitingLimits } from '../../src/net/tcp/packet-listener.ts'
import { openTcpListener } from '../../src/net/tcp/tcp-listener.ts'
import { deferIn } from '../harness/defer.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const password = Uint8Array.of(1, 2, 3)

async function open(context: TestContext) {
  const defer = deferIn(context)
  const clock = new VirtualClock()
  const taken: PacketConnection[] = []
  const port = await openPacketListener({
    clock,
    family: 4,
    onFirstPacket: (connection, packet) => {
      const isFriend = packet[0] === password[0]
      if (isFriend) taken.push(connection)
      return isFriend
    },
  })
  defer(() => port.close())
  const call = async () => {
    const socket: Socket = connect({ host: '127.0.0.1', port: port.local.port })
    defer(() => socket.destroy())
    let heard = 0
    socket.on('data', ({ length }) => {
      heard += length
    })
    socket.on('error', () => {})
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    await new Promise((resolve) => socket.once('connect', resolve))
    return { socket, closed, heard: () => heard }
  }
  return { defer, clock, taken, port, call }
}

test('who brings nothing in time is hung up on, and was told nothing', async (context) => {
  const { clock, call } = await open(context)
  const silent = await call()
  silent.socket.write(framePacket(password).subarray(0, 3))
  const half = await call()
  // Both were taken in by now.
  half.socket.write(framePacket(password).subarray(0, 1))
  while (clock.pendingTimers < 2) await new Promise((resolve) => setImmediate(resolve))
  await clock.advance(mostWaitingMs)
  await Promise.all([silent.closed, half.closed])
  assert.equal(silent.heard() + half.heard(), 0)
})

test('who brings the wrong thing, or no packet at all, is hung up on at once', async (context) => {
  const { call, taken } = await open(context)
  for (const bytes of [framePacket(Uint8Array.of(9)), Uint8Array.of(0, 0), Uint8Array.of(255, 255)]) {
    const stranger = await call()
    stranger.socket.write(bytes)
    await stranger.closed
    assert.equal(stranger.heard(), 0)
  }
  assert.equal(taken.length, 0)
})

test('of one address only a few wait at a time', async (context) => {
  const { call } = await open(context)
  for (let index = 0; index < waitingLimits.perSource; index++) await call()
  await (await call()).closed
})

test('who is taken stays, and talks in packets both ways', async (context) => {
  const { clock, call, taken } = await open(context)
  const friend = await call()
  friend.socket.write(framePacket(password))
  while (taken.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await clock.advance(2 * mostWaitingMs)
  const [connection] = taken
  assert.ok(connection)
  const heard = new Promise<Uint8Array>((resolve) => {
    connection.handlers = { onPacket: resolve, onClose: () => {} }
  })
  friend.socket.write(framePacket(Uint8Array.of(4, 5)))
  assert.deepEqual(Uint8Array.from(await heard), Uint8Array.of(4, 5))
  const back = new Promise<Buffer>((resolve) => friend.socket.once('data', resolve))
  connection.send(Uint8Array.of(6))
  assert.deepEqual([...(await back)], [0, 1, 6])
  connection.close()
  await friend.closed
})

test('what the other side does not read is dropped beyond a bound', async (context) => {
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
    for (const one of sockets) one.destroy()
  })
  await new Promise((resolve) => socket.once('connect', resolve))
  const connection = new PacketConnection(socket, listener.local, { onPacket: () => {}, onClose: () => {} })
  for (let index = 0; index < 20_000; index++) connection.send(new Uint8Array(1_472))
  assert.ok(socket.writableLength <= maxUnsentBytes + 1_474)
  connection.close()
})
