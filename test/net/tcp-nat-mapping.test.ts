// The public endpoint of a TCP port, learned from address servers on loopback.

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
  let changes = 0
  const mapping = new TcpNatMapping({ clock: systemClock, randomBytes, servers, onChange: () => changes++ })
  deferIn(context)(() => mapping.close())
  return { mapping, changes: () => changes }
}

async function serverAt(context: TestContext, address: string): Promise<Endpoint> {
  const server = await startAddressServer({ listen: [{ address, port: 0 }] })
  deferIn(context)(() => server.close())
  return server.endpoints[0] as Endpoint
}

/** A server that reports another port than the others, as seen behind a hard NAT. */
async function differingServerAt(context: TestContext, address: string): Promise<Endpoint> {
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

test('the endpoint on which the servers agree is the public endpoint of the port', async (context) => {
  const servers = [await serverAt(context, '127.0.0.1'), await serverAt(context, '127.0.0.2')]
  const { mapping, changes } = make(context, servers)
  await mapping.settled
  assert.equal(mapping.endpoint?.port, mapping.port)
  assert.equal(changes(), 0, 'the first endpoint causes no change')
})

test('when the servers disagree there is no endpoint', async (context) => {
  const servers = [await serverAt(context, '127.0.0.1'), await differingServerAt(context, '127.0.0.2')]
  const { mapping } = make(context, servers)
  await mapping.settled
  assert.equal(mapping.endpoint, null)
  assert.equal(mapping.port, null)
})

test('a server that does not listen is noticed at once, and used when it listens later', async (context) => {
  const temporaryServer = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }] })
  const endpoint = temporaryServer.endpoints[0] as Endpoint
  await temporaryServer.close()
  const { mapping, changes } = make(context, [endpoint])
  const publicPort = () => mapping.endpoint?.port ?? null
  await mapping.settled
  assert.equal(publicPort(), null)
  const server = await startAddressServer({ listen: [endpoint] })
  deferIn(context)(() => server.close())
  while (changes() === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(publicPort(), mapping.port)
})
