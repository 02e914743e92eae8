// Extra sockets, opened when first used: real ones on loopback, and failing ones.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Endpoint } from '../../src/base/endpoint.ts'
import { maxExtraSockets, SocketSet } from '../../src/net/udp/socket-set.ts'
import { openUdpSocket } from '../../src/net/udp/udp-socket.ts'

const loopback = '127.0.0.1'
const loopbackEndpoint: Endpoint = { address: loopback, port: 9 }

async function echo() {
  const sources: Endpoint[] = []
  const server = await openUdpSocket({
    family: 4,
    address: loopback,
    onDatagram: (bytes, from) => {
      sources.push(from)
      server.send(bytes, from)
    },
  })
  return { server, sources }
}

test('each extra socket has its own port, keeps it, and receives only its own datagrams', async () => {
  const { server, sources } = await echo()
  const { promise, resolve } = Promise.withResolvers<void>()
  const received: [via: number, byte: number][] = []
  const set = new SocketSet({
    open: openUdpSocket,
    sendMain: () => assert.fail('nothing is sent from the main socket'),
    onDatagram: (bytes, _, via) => {
      received.push([via, bytes[0] ?? -1])
      if (received.length === 3) resolve()
    },
    onFailure: (_, reason) => assert.fail(String(reason)),
  })
  try {
    set.send(Uint8Array.of(7), server.local, 1)
    set.send(Uint8Array.of(8), server.local, 1)
    set.send(Uint8Array.of(9), server.local, 2)
    await promise
    assert.deepEqual(
      received.sort(([, a], [, b]) => a - b),
      [
        [1, 7],
        [1, 8],
        [2, 9],
      ],
    )
    assert.equal(new Set(sources.map(({ port }) => port)).size, 2)
    assert.equal(set.size, 2)
    set.close(1)
    assert.equal(set.size, 1)
  } finally {
    set.closeAll()
    await server.close()
  }
  assert.equal(set.size, 0)
})

test('socket 0 is the main one, which is not opened here', () => {
  const sent: unknown[] = []
  const set = new SocketSet({
    open: () => assert.fail('nothing is opened'),
    sendMain: (...args) => sent.push(args),
    onDatagram: () => {},
    onFailure: () => {},
  })
  const bytes = Uint8Array.of(1)
  set.send(bytes, loopbackEndpoint, 0, 5)
  assert.deepEqual(sent, [[bytes, loopbackEndpoint, 5]])
})

test('a socket that cannot be opened is reported, and the others keep working', async () => {
  const { promise, resolve } = Promise.withResolvers<[via: number, reason: unknown]>()
  const tooMany = new Error('EMFILE')
  const set = new SocketSet({
    open: () => Promise.reject(tooMany),
    sendMain: () => {},
    onDatagram: () => {},
    onFailure: (...args) => resolve(args),
  })
  set.send(Uint8Array.of(1), loopbackEndpoint, 4)
  assert.deepEqual(await promise, [4, tooMany])
  assert.equal(set.size, 0)
})

test('there are never more sockets than the bound, and a further one is reported', async () => {
  const failed: number[] = []
  const set = new SocketSet({
    open: () => new Promise(() => {}),
    sendMain: () => {},
    onDatagram: () => {},
    onFailure: (via) => failed.push(via),
  })
  for (let via = 1; via <= maxExtraSockets + 2; via++) set.send(Uint8Array.of(1), loopbackEndpoint, via)
  await Promise.resolve()
  assert.equal(set.size, maxExtraSockets)
  assert.deepEqual(failed, [maxExtraSockets + 1, maxExtraSockets + 2])
})

test('a socket that opens after it was closed is closed at once', async () => {
  let closed = 0
  const opening = Promise.withResolvers<Awaited<ReturnType<typeof openUdpSocket>>>()
  const set = new SocketSet({
    open: () => opening.promise,
    sendMain: () => {},
    onDatagram: () => {},
    onFailure: () => {},
  })
  set.send(Uint8Array.of(1), loopbackEndpoint, 1)
  set.closeAll()
  const stats = () => ({ sent: 0, received: 0, sendFailures: 0, dropped: 0 })
  opening.resolve({
    family: 4,
    local: loopbackEndpoint,
    stats,
    send: () => assert.fail('nothing is sent'),
    close: async () => void closed++,
  })
  await opening.promise
  assert.equal(closed, 1)
})
