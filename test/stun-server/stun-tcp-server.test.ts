// The address server over TCP, on loopback.

import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Endpoint } from '../../src/base/endpoint.ts'
import { decodeStun, encodeRequest, type StunMessage } from '../../src/nat/stun-message.ts'
import { stunSplitter } from '../../src/nat/stun-tcp-framing.ts'
import { type AddressServerOptions, startAddressServer } from '../../src/stun-server/stun-server.ts'
import { idleTimeoutMs } from '../../src/stun-server/stun-tcp-server.ts'
import { deferIn } from '../harness/defer.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

async function serve(context: TestContext, options: Partial<AddressServerOptions> = {}) {
  const defer = deferIn(context)
  const server = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }], ...options })
  defer(() => server.close())
  const [endpoint] = server.endpoints
  assert.ok(endpoint)
  return { server, endpoint, call: () => call(endpoint, defer) }
}

/** A client that keeps its answers. `closed` resolves when the server closes the connection. */
async function call(endpoint: Endpoint, defer: (work: () => void) => void) {
  const socket: Socket = connect({ host: endpoint.address, port: endpoint.port })
  defer(() => socket.destroy())
  const splitter = stunSplitter()
  const answers: StunMessage[] = []
  let wake = () => {}
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  socket.on('error', () => {})
  socket.on('data', (bytes) => {
    for (const message of splitter.push(bytes) ?? []) {
      const decoding = decodeStun(message)
      assert.ok(decoding.ok)
      answers.push(decoding.message)
    }
    wake()
  })
  await new Promise((resolve) => socket.once('connect', resolve))
  return {
    socket,
    closed,
    local: { address: '127.0.0.1', port: socket.localPort as number },
    async answered(count: number): Promise<readonly StunMessage[]> {
      while (answers.length < count)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      return answers
    },
  }
}

const request = (number: number) => encodeRequest(new Uint8Array(12).fill(number))

test('each request is answered with the endpoint of the client, however its bytes are split', async (context) => {
  const { call, server } = await serve(context)
  const client = await call()
  client.socket.setNoDelay(true)
  const bytes = Buffer.concat([request(1), request(2), request(3)])
  for (const at of [0, 5, 30, 31]) {
    client.socket.write(bytes.subarray(at, { 0: 5, 5: 30, 30: 31, 31: bytes.length }[at]))
    await new Promise((resolve) => setImmediate(resolve))
  }
  const answers = await client.answered(3)
  for (const answer of answers) {
    assert.ok(answer.type === 'success')
    assert.deepEqual(answer.mapped, client.local)
  }
  assert.deepEqual(server.served(), { answered: 3, limited: 0, ignored: 0 })
})

test('CHANGE-REQUEST in a connection is refused', async (context) => {
  const { call } = await serve(context)
  const client = await call()
  client.socket.write(encodeRequest(new Uint8Array(12), { change: { address: true, port: true } }))
  const [answer] = await client.answered(1)
  assert.ok(answer?.type === 'error' && answer.code === 420)
})

test('a client that sends anything but STUN is disconnected', async (context) => {
  const { call } = await serve(context)
  const client = await call()
  client.socket.write('GET / HTTP/1.1\r\n\r\n')
  await client.closed
})

test('one address gets no more connections than the limit', async (context) => {
  const { call } = await serve(context, { connectionLimit: { total: 8, perSource: 2 } })
  const [first, second] = [await call(), await call()]
  await (await call()).closed
  first.socket.write(request(1))
  second.socket.write(request(2))
  await first.answered(1)
  await second.answered(1)
  first.socket.destroy()
  second.socket.write(request(3))
  await second.answered(2)
  const next = await call()
  next.socket.write(request(4))
  await next.answered(1)
})

test('when the total limit is reached, the connection that was silent for longest is closed', async (context) => {
  const { call } = await serve(context, { connectionLimit: { total: 2, perSource: 8 } })
  const [first, second] = [await call(), await call()]
  second.socket.write(request(1))
  await second.answered(1)
  first.socket.write(request(2))
  await first.answered(1)
  const third = await call()
  await second.closed
  third.socket.write(request(3))
  await third.answered(1)
})

test('a silent connection is closed', async (context) => {
  const clock = new VirtualClock()
  const { call } = await serve(context, { clock })
  const client = await call()
  client.socket.write(request(1))
  await client.answered(1)
  await clock.advance(idleTimeoutMs - 1)
  client.socket.write(request(2))
  await client.answered(2)
  await clock.advance(idleTimeoutMs - 1)
  assert.equal(client.socket.destroyed, false)
  await clock.advance(1)
  await client.closed
})
