// The address server over TCP, on loopback.

import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Endpoint } from '../../src/base/endpoint.ts'
import { decodeStun, encodeRequest, type StunMessage } from '../../src/nat/stun-message.ts'
import { stunSplitter } from '../../src/nat/stun-tcp-framing.ts'
import { type AddressServerOptions, startAddressServer } from '../../src/stun-server/stun-server.ts'
import { mostSilentMs } from '../../src/stun-server/stun-tcp-server.ts'
import { deferIn } from '../harness/defer.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

async function serve(context: TestContext, options: Partial<AddressServerOptions> = {}) {
  const defer = deferIn(context)
  const server = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }], ...options })
  defer(() => server.close())
  const [place] = server.endpoints
  assert.ok(place)
  return { server, place, call: () => call(place, defer) }
}

/** A client that keeps what it is answered, and knows when it was hung up on. */
async function call(place: Endpoint, defer: (work: () => void) => void) {
  const socket: Socket = connect({ host: place.address, port: place.port })
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

const question = (number: number) => encodeRequest(new Uint8Array(12).fill(number))

test('each client is told its own endpoint, as often as it asks, however its bytes are cut', async (context) => {
  const { call, server } = await serve(context)
  const client = await call()
  client.socket.setNoDelay(true)
  const bytes = Buffer.concat([question(1), question(2), question(3)])
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

test('a response to be answered from elsewhere cannot be met in a connection, and is refused in it', async (context) => {
  const { call } = await serve(context)
  const client = await call()
  client.socket.write(encodeRequest(new Uint8Array(12), { change: { address: true, port: true } }))
  const [answer] = await client.answered(1)
  assert.ok(answer?.type === 'error' && answer.code === 420)
})

test('whoever says anything else is hung up on', async (context) => {
  const { call } = await serve(context)
  const client = await call()
  client.socket.write('GET / HTTP/1.1\r\n\r\n')
  await client.closed
})

test('of one address so many connections are taken, and no more', async (context) => {
  const { call } = await serve(context, { connectionLimit: { total: 8, perSource: 2 } })
  const [first, second] = [await call(), await call()]
  await (await call()).closed
  first.socket.write(question(1))
  second.socket.write(question(2))
  await first.answered(1)
  await second.answered(1)
  first.socket.destroy()
  second.socket.write(question(3))
  await second.answered(2)
  const next = await call()
  next.socket.write(question(4))
  await next.answered(1)
})

test('when all places are taken whoever has been silent for longest goes', async (context) => {
  const { call } = await serve(context, { connectionLimit: { total: 2, perSource: 8 } })
  const [first, second] = [await call(), await call()]
  second.socket.write(question(1))
  await second.answered(1)
  first.socket.write(question(2))
  await first.answered(1)
  const third = await call()
  await second.closed
  third.socket.write(question(3))
  await third.answered(1)
})

test('who is silent for long is let go', async (context) => {
  const clock = new VirtualClock()
  const { call } = await serve(context, { clock })
  const client = await call()
  client.socket.write(question(1))
  await client.answered(1)
  await clock.advance(mostSilentMs - 1)
  client.socket.write(question(2))
  await client.answered(2)
  await clock.advance(mostSilentMs - 1)
  assert.equal(client.socket.destroyed, false)
  await clock.advance(1)
  await client.closed
})
