import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { type Endpoint, equalEndpoints, familyOf, formatEndpoint } from '../../src/base/endpoint.ts'
import { Problem } from '../../src/base/problem.ts'
import type { Change } from '../../src/nat/stun-attributes.ts'
import { decodeStun, encodeRequest, type StunSuccess } from '../../src/nat/stun-message.ts'
import { openUdpSocket } from '../../src/net/udp/udp-socket.ts'
import { cornersOf } from '../../src/stun-server/alternate-addresses.ts'
import { defaultRateLimits } from '../../src/stun-server/response-rate-limit.ts'
import { type ServedCounts, startAddressServer } from '../../src/stun-server/stun-server.ts'
import { deferIn } from '../harness/defer.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'
import { startSquare } from './square-server.ts'

const loopback = { address: '127.0.0.1', port: 0 }
const someone = { address: '127.0.0.1', port: 1 }

type Arrival = { readonly from: Endpoint; readonly answer: StunSuccess }

/** A client on a socket of its own; what arrives is kept until somebody asks for it. */
async function openClient(address = '127.0.0.1') {
  const arrivals: Arrival[] = []
  let wake = () => {}
  const socket = await openUdpSocket({
    family: familyOf(address),
    address,
    onDatagram: (bytes, from) => {
      const decoding = decodeStun(bytes)
      assert.ok(decoding.ok && decoding.message.type === 'success')
      arrivals.push({ from, answer: decoding.message })
      wake()
    },
  })
  let questions = 0
  return {
    local: socket.local,
    close: () => socket.close(),
    send: (to: Endpoint, bytes: Uint8Array) => socket.send(bytes, to),
    ask(to: Endpoint, response: { change?: Change; responsePort?: number } = {}) {
      const transactionId = new Uint8Array(12).fill(++questions)
      socket.send(encodeRequest(transactionId, response), to)
    },
    async arrival(): Promise<Arrival> {
      for (;;) {
        const first = arrivals.shift()
        if (first) return first
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
}

test('it listens on several places and tells each client its own endpoint', async (context) => {
  const defer = deferIn(context)
  const server = await startAddressServer({ listen: [loopback, loopback] })
  defer(() => server.close())
  assert.deepEqual(server.behaviour, [])
  for (const endpoint of server.endpoints) {
    const client = await openClient()
    defer(() => client.close())
    client.ask(endpoint)
    const { from, answer } = await client.arrival()
    assert.deepEqual(from, endpoint)
    assert.deepEqual(answer.mapped, client.local)
    assert.equal(answer.otherAddress, undefined)
  }
})

const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
)

test('it answers over IPv6', { skip: !hasIpv6 && 'this machine has no IPv6 loopback' }, async (context) => {
  const defer = deferIn(context)
  const server = await startAddressServer({ listen: [{ address: '::1', port: 0 }, loopback] })
  defer(() => server.close())
  const client = await openClient('::1')
  defer(() => client.close())
  client.ask(server.endpoints[0] ?? someone)
  assert.deepEqual((await client.arrival()).answer.mapped, client.local)
})

test('with two addresses and two ports it answers from each of the four places', async (context) => {
  const defer = deferIn(context)
  const { server, square } = await startSquare(['127.0.0.1', '127.0.0.2'])
  defer(() => server.close())
  assert.deepEqual(server.behaviour, [4])
  assert.deepEqual(server.endpoints.map(formatEndpoint).sort(), cornersOf(square).map(formatEndpoint).sort())
  const client = await openClient()
  defer(() => client.close())
  for (const corner of server.endpoints) {
    const seen = []
    for (const address of [false, true]) {
      for (const port of [false, true]) {
        client.ask(corner, { change: { address, port } })
        const { from, answer } = await client.arrival()
        assert.equal(from.address !== corner.address, address)
        assert.equal(from.port !== corner.port, port)
        assert.deepEqual(answer.responseOrigin, from)
        assert.deepEqual(answer.mapped, client.local)
        seen.push(from)
      }
    }
    const across = seen[3] ?? someone
    client.ask(corner)
    const { from, answer } = await client.arrival()
    assert.deepEqual(from, corner)
    assert.deepEqual(answer.otherAddress, across)
  }
})

test('the answer goes to the port the client names, on its own address', async (context) => {
  const defer = deferIn(context)
  const server = await startAddressServer({ listen: [loopback] })
  defer(() => server.close())
  const [asker, hearer] = [await openClient(), await openClient()]
  defer(() => Promise.all([asker.close(), hearer.close()]))
  asker.ask(server.endpoints[0] ?? someone, { responsePort: hearer.local.port })
  assert.deepEqual((await hearer.arrival()).answer.mapped, asker.local)
})

test('a client that asks too much gets silence, is counted, and is answered again later', async (context) => {
  const defer = deferIn(context)
  const clock = new VirtualClock()
  const limits = { ...defaultRateLimits, source: { burst: 3, perSecond: 1 } }
  const told: ServedCounts[] = []
  const server = await startAddressServer({
    listen: [loopback],
    clock,
    limits,
    onServed: (counts) => told.push(counts),
  })
  defer(() => server.close())
  const client = await openClient()
  defer(() => client.close())
  const endpoint = server.endpoints[0] ?? someone
  /** The counts once everything that was sent has been dealt with. */
  const counts = async (sent: number) => {
    while (sumOf(server.served()) < sent) await new Promise((resolve) => setImmediate(resolve))
    return server.served()
  }
  for (let i = 0; i < 5; i++) client.ask(endpoint)
  assert.deepEqual(await counts(5), { answered: 3, limited: 2, ignored: 0 })
  await clock.advance(1000)
  for (let i = 0; i < 2; i++) client.ask(endpoint)
  assert.deepEqual(await counts(7), { answered: 4, limited: 3, ignored: 0 })
  client.send(endpoint, new Uint8Array(20))
  assert.deepEqual(await counts(8), { answered: 4, limited: 3, ignored: 1 })

  assert.deepEqual(told, [])
  await clock.advance(59_000)
  assert.deepEqual(told, [{ answered: 4, limited: 3, ignored: 1 }])
  await clock.advance(120_000)
  assert.equal(told.length, 1, 'nothing new is not told')
  client.ask(endpoint)
  await counts(9)
  await server.close()
  assert.deepEqual(told.at(-1), { answered: 5, limited: 3, ignored: 1 })
  assert.equal(clock.pendingTimers, 0)
})

function sumOf({ answered, limited, ignored }: ServedCounts): number {
  return answered + limited + ignored
}

test('when one place is taken none stays open', async () => {
  const first = await startAddressServer({ listen: [loopback] })
  const [taken] = first.endpoints
  assert.ok(taken)
  const free = await startAddressServer({ listen: [loopback] })
  const [endpoint] = free.endpoints
  assert.ok(endpoint)
  await free.close()
  await assert.rejects(
    startAddressServer({ listen: [endpoint, taken] }),
    (error: unknown) => error instanceof Problem && error.code === 'port-taken',
  )
  await (await startAddressServer({ listen: [endpoint] })).close()
  await first.close()
})

test('when the corner that would complete the square is taken, it is named', async (context) => {
  const defer = deferIn(context)
  const { server, square } = await startSquare(['127.0.0.1', '127.0.0.2'])
  const [[a1, a2], [p1, p2]] = [square.addresses, square.ports]
  await server.close()
  const corner = { address: a1, port: p2 }
  const thief = await startAddressServer({ listen: [corner] })
  defer(() => thief.close())
  assert.ok(thief.endpoints.every((endpoint) => equalEndpoints(endpoint, corner)))
  await assert.rejects(
    startAddressServer({
      listen: [
        { address: a1, port: p1 },
        { address: a2, port: p2 },
      ],
    }),
    (error: unknown) =>
      error instanceof Problem &&
      error.code === 'port-taken' &&
      error.message.includes(formatEndpoint(corner)),
  )
})
