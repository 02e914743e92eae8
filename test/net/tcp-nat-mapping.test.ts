// Where a TCP port of ours is seen, learned from address servers on loopback.

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Endpoint } from '../../src/base/endpoint.ts'
import { decodeStun, encodeSuccess } from '../../src/nat/stun-message.ts'
import { TcpNatMapping } from '../../src/net/tcp/tcp-nat-mapping.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { startAddressServer } from '../../src/stun-server/stun-server.ts'
import { deferIn } from '../harness/defer.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'

const randomBytes = (length: number) => realCrypto.randomBytes(length)

function make(context: TestContext, servers: readonly Endpoint[]) {
  let news = 0
  const mapping = new TcpNatMapping({ clock: systemClock, randomBytes, servers, onNews: () => news++ })
  deferIn(context)(() => mapping.close())
  return { mapping, news: () => news }
}

async function serverAt(context: TestContext, address: string): Promise<Endpoint> {
  const server = await startAddressServer({ listen: [{ address, port: 0 }] })
  deferIn(context)(() => server.close())
  return server.endpoints[0] as Endpoint
}

/** One that sees every client at another port than the next, as a hard NAT makes it. */
async function liarAt(context: TestContext, address: string): Promise<Endpoint> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      const decoding = decodeStun(bytes)
      if (!decoding.ok) return
      const { transactionId } = decoding.message
      socket.write(encodeSuccess({ transactionId, mapped: { address: '11.0.0.1', port: 4_000 } }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, address, resolve))
  deferIn(context)(() => server.close())
  return { address, port: (server.address() as { port: number }).port }
}

test('what the servers agree on is the place of the port that calls', async (context) => {
  const servers = [await serverAt(context, '127.0.0.1'), await serverAt(context, '127.0.0.2')]
  const { mapping, news } = make(context, servers)
  await mapping.settled
  assert.equal(mapping.endpoint?.port, mapping.port)
  assert.equal(news(), 0, 'the first is waited for, and no news')
})

test('where they disagree there is no place to tell of', async (context) => {
  const servers = [await serverAt(context, '127.0.0.1'), await liarAt(context, '127.0.0.2')]
  const { mapping } = make(context, servers)
  await mapping.settled
  assert.equal(mapping.endpoint, null)
  assert.equal(mapping.port, null)
})

test('where nobody listens that is known at once, and one who is there later is asked', async (context) => {
  const holder = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }] })
  const place = holder.endpoints[0] as Endpoint
  await holder.close()
  const { mapping, news } = make(context, [place])
  const portSeen = () => mapping.endpoint?.port ?? null
  await mapping.settled
  assert.equal(portSeen(), null)
  const server = await startAddressServer({ listen: [place] })
  deferIn(context)(() => server.close())
  while (news() === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(portSeen(), mapping.port)
})
