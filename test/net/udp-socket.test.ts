import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { test } from 'node:test'
import type { Endpoint } from '../../src/base/endpoint.ts'
import { Problem } from '../../src/base/problem.ts'
import { maxDatagramBytes, openUdpSocket, type UdpSocket } from '../../src/net/udp/udp-socket.ts'

const loopback = '127.0.0.1'

/** A socket and a promise of the next datagram that it receives. */
async function listening(family: 4 | 6 = 4, address = loopback) {
  let resolveNext: (datagram: { bytes: Uint8Array; from: Endpoint }) => void = () => {}
  const next = new Promise<{ bytes: Uint8Array; from: Endpoint }>((resolve) => {
    resolveNext = resolve
  })
  const socket = await openUdpSocket({
    family,
    address,
    onDatagram: (bytes, from) => resolveNext({ bytes, from }),
  })
  return { socket, next }
}

async function withSockets(work: (...sockets: UdpSocket[]) => Promise<void>, ...sockets: UdpSocket[]) {
  try {
    await work(...sockets)
  } finally {
    await Promise.all(sockets.map((socket) => socket.close()))
  }
}

test('a datagram arrives with its bytes and source, and is counted', async () => {
  const [receiver, sender] = [await listening(), await listening()]
  await withSockets(
    async () => {
      sender.socket.send(Uint8Array.of(1, 2, 3), receiver.socket.local)
      const { bytes, from } = await receiver.next
      assert.deepEqual([...bytes], [1, 2, 3])
      assert.deepEqual(from, sender.socket.local)
      assert.equal(receiver.socket.stats().received, 1)
    },
    receiver.socket,
    sender.socket,
  )
})

test('a port in use causes a Problem that names the port and the remedy', async () => {
  const { socket } = await listening()
  await withSockets(async () => {
    await assert.rejects(
      openUdpSocket({ family: 4, address: loopback, port: socket.local.port, onDatagram: () => {} }),
      (error: unknown) => {
        assert.ok(error instanceof Problem)
        assert.equal(error.code, 'port-taken')
        assert.match(error.line, new RegExp(`127.0.0.1:${socket.local.port}.*another port`))
        return true
      },
    )
  }, socket)
})

test('an address that is not ours causes a Problem', async () => {
  await assert.rejects(
    openUdpSocket({ family: 4, address: '192.0.2.1', onDatagram: () => {} }),
    (error: unknown) =>
      error instanceof Problem && error.code === 'network' && /192\.0\.2\.1/.test(error.line),
  )
})

test('send never throws: the other family, too large, unreachable, and after closing', async () => {
  const [{ socket }, { socket: receiver, next }] = [await listening(), await listening()]
  await withSockets(
    async () => {
      socket.send(Uint8Array.of(1), { address: '::1', port: 9 })
      socket.send(new Uint8Array(maxDatagramBytes + 1), { address: loopback, port: 9 })
      assert.equal(socket.stats().dropped, 2)
      // The kernel refuses to send from a loopback socket to other addresses.
      socket.send(Uint8Array.of(1), { address: '11.0.0.1', port: 9 })
      socket.send(Uint8Array.of(1), { address: loopback, port: 0 })
      socket.send(Uint8Array.of(1), { address: '11.0.0.1', port: 9 }, 4)
      socket.send(Uint8Array.of(2), receiver.local)
      assert.deepEqual([...(await next).bytes], [2])
    },
    ...[socket, receiver],
  )
  socket.send(Uint8Array.of(1), { address: loopback, port: 9 })
  await socket.close()
})

test('a datagram above the limit is dropped', async () => {
  const { socket, next } = await listening()
  const raw = createSocket('udp4')
  await withSockets(async () => {
    raw.send(new Uint8Array(maxDatagramBytes + 1), socket.local.port, loopback)
    raw.send(Uint8Array.of(5), socket.local.port, loopback)
    assert.deepEqual([...(await next).bytes], [5])
    assert.equal(socket.stats().dropped, 1)
  }, socket)
  raw.close()
})
