import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { type Endpoint, equalEndpoints, familyOf, formatEndpoint } from '../../src/base/endpoint.ts'
import { Problem } from '../../src/base/problem.ts'
import type { Change } from '../../src/nat/stun-attributes.ts'
import { decodeStun, encodeRequest, type StunSuccess } from '../../src/nat/stun-message.ts'
import { openUdpSocket } from '../../src/net/udp/udp-socket.ts'
import { endpointsOf } from '../../src/stun-server/alternate-addresses.ts'
import { defaultRateLimits } from '../../src/stun-server/response-rate-limit.ts'
import { type ServedCounts, startAddressServer } from '../../src/stun-server/stun-server.ts'
import { deferIn } from '../harness/defer.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'
import { startWithAlternates } from './alternate-address-server.ts'

const loopback = { address: '127.0.0.1', port: 0 }
const someone = { address: '127.0.0.1', port: 1 }

type Arrival = { readonly from: Endpoint; readonly answer: StunSuccess }

/** A client with its own socket. Answers are kept until `arrival` is called. */
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
  let requests = 0
  return {
    local: socket.local,
    close: () => socket.close(),
    send: (to: Endpoint, bytes: Uint8Array) => socket.send(bytes, to),
    request(to: Endpoint, options: { change?: Change; responsePort?: number } = {}) {
      const transactionId = new Uint8Array(12).fill(++requests)
      socket.send(encodeRequest(transactionId, options), to)
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

test('it listens on several endpoints and answers each client with its own endpoint', async (context) => {
  const defer = deferIn(context)
  const server = await startAddressServer({ listen: [loopback, loopback] })
  defer(() => server.close())
  assert.deepEqual(server.behaviour, [])
  for (const endpoint of server.endpoints) {
    const client = await openClient()
    defer(() => client.close())
    client.request(endpoint)
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
  client.request(server.endpoints[0] ?? someone)
  assert.deepEqual((await client.arrival()).answer.mapped, client.local)
})

test('with two addresses and two ports it answers from each of the four endpoints', async (context) => {
  const defer = deferIn(context)
  const { server, alternates } = await startWithAlternates(['127.0.0.1', '127.0.0.2'])
  defer(() => server.close())
  assert.deepEqual(server.behaviour, [4])
  assert.deepEqual(
    server.endpoints.map(formatEndpoint).sort(),
    endpointsOf(alternates).map(formatEndpoint).sort(),
  )
  const client = await openClient()
  defer(() => client.close())
  for (const endpoint of server.endpoints) {
    const seen = []
    for (const address of [false, true]) {
      for (const port of [false, true]) {
        client.request(endpoint, { change: { address, port } })
        const { from, answer } = await client.arrival()
        assert.equal(from.address !== endpoint.address, address)
        assert.equal(from.port !== endpoint.port, port)
        assert.deepEqual(answer.responseOrigin, from)
        assert.deepEqual(answer.mapped, client.local)
        seen.push(from)
      }
    }
    const across = seen[3] ?? someone
    client.request(endpoint)
    const { from, answer } = await client.arrival()
    assert.deepEqual(from, endpoint)
    assert.deepEqual(answer.otherAddress, across)
  }
})

test('the answer goes to the RESPONSE-PORT on the address of the client', async (context) => {
  const defer = deferIn(context)
  const server = await startAddressServer({ listen: [loopback] })
  defer(() => server.close())
  const [sender, receiver] = [await openClient(), await openClient()]
  defer(() => Promise.all([sender.close(), receiver.close()]))
  sender.request(server.endpoints[0] ?? someone, { responsePort: receiver.local.port })
  assert.deepEqual((await receiver.arrival()).answer.mapped, sender.local)
})

test('a client that asks too much gets no answer, is counted, and is answered again later', async (context) => {
  const defer = deferIn(context)
  const clock = new VirtualClock()
  const limits = { ...defaultRateLimits, source: { burst: 3, perSecond: 1 } }
  const reported: ServedCounts[] = []
  const server = await startAddressServer({
    listen: [loopback],
    clock,
    limits,
    onServed: (counts) => reported.push(counts),
  })
  defer(() => server.close())
  const client = await openClient()
  defer(() => client.close())
  const endpoint = server.endpoints[0] ?? someone
  /** The counts once all `sent` datagrams have been handled. */
  const counts = async (sent: number) => {
    while (sumOf(server.served()) < sent) await new Promise((resolve) => setImmediate(resolve))
    return server.served()
  }
  for (let i = 0; i < 5; i++) client.request(endpoint)
  assert.deepEqual(await counts(5), { answered: 3, limited: 2, ignored: 0 })
  await clock.advance(1000)
  for (let i = 0; i < 2; i++) client.request(endpoint)
  assert.deepEqual(await counts(7), { answered: 4, limited: 3, ignored: 0 })
  client.send(endpoint, new Uint8Array(20))
  assert.deepEqual(await counts(8), { answered: 4, limited: 3, ignored: 1 })

  assert.deepEqual(reported, [])
  await clock.advance(59_000)
  assert.deepEqual(reported, [{ answered: 4, limited: 3, ignored: 1 }])
  await clock.advance(120_000)
  assert.equal(reported.length, 1, 'unchanged counts are not reported')
  client.request(endpoint)
  await counts(9)
  await server.close()
  assert.deepEqual(reported.at(-1), { answered: 5, limited: 3, ignored: 1 })
  assert.equal(clock.pendingTimers, 0)
})

function sumOf({ answered, limited, ignored }: ServedCounts): number {
  return answered + limited + ignored
}

test('when one endpoint is taken none stays open', async () => {
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

test('when an endpoint added for RFC 5780 is taken, the error names it', async (context) => {
  const defer = deferIn(context)
  const { server, alternates } = await startWithAlternates(['127.0.0.1', '127.0.0.2'])
  const [[a1, a2], [p1, p2]] = [alternates.addresses, alternates.ports]
  await server.close()
  const taken = { address: a1, port: p2 }
  const other = await startAddressServer({ listen: [taken] })
  defer(() => other.close())
  assert.ok(other.endpoints.every((endpoint) => equalEndpoints(endpoint, taken)))
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
      error.message.includes(formatEndpoint(taken)),
  )
})
