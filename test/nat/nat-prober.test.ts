import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Endpoint } from '../../src/base/endpoint.ts'
import type { Action } from '../../src/base/protocol-machine.ts'
import { createProber, type ProberEvent } from '../../src/nat/nat-prober.ts'
import { decodeStun, encodeError, encodeSuccess } from '../../src/nat/stun-message.ts'
import { seededCrypto } from '../harness/seeded-crypto.ts'

const servers = ['11.0.0.1', '11.0.0.2', '11.0.0.3'].map((address) => ({ address, port: 3478 }))
const [first, second, third] = servers as [Endpoint, Endpoint, Endpoint]
const local = { address: '192.168.1.2', port: 4000 }
const mapped = { address: '9.0.0.1', port: 4000 }
const other = { address: '9.0.0.1', port: 5000 }

/** Drives a prober. `answer` returns each server's reply; null for none. */
function begin(answer: (server: Endpoint) => Endpoint | null, serversToAsk: readonly Endpoint[] = servers) {
  const prober = createProber({
    crypto: seededCrypto(1),
    servers: serversToAsk,
    localEndpoints: [local],
    now: 0,
    backgroundTests: [],
  })
  const sent: { at: number; to: Endpoint; bytes: Uint8Array }[] = []
  const events: { at: number; event: ProberEvent }[] = []
  let now = 0
  const state = { answer, delayMs: 20 }
  const replies: { at: number; from: Endpoint; bytes: Uint8Array }[] = []
  const perform = (actions: Action<ProberEvent>[]) => {
    for (const action of actions) {
      if (action.type === 'event') events.push({ at: now, event: action.event })
      else if (action.type === 'send') {
        sent.push({ at: now, to: action.to, bytes: action.bytes })
        const view = state.answer(action.to)
        const request = decodeStun(action.bytes)
        assert.ok(request.ok)
        const { transactionId } = request.message
        if (view) {
          const bytes = encodeSuccess({ transactionId, mapped: view })
          replies.push({ at: now + state.delayMs, from: action.to, bytes })
        }
      }
    }
  }
  const runUntil = (end: number) => {
    for (;;) {
      const due = prober.nextTimeout()
      const reply = replies[0]
      const next = Math.min(due ?? Number.POSITIVE_INFINITY, reply?.at ?? Number.POSITIVE_INFINITY)
      if (next > end) break
      now = Math.max(now, next)
      if (reply && reply.at <= now) {
        replies.shift()
        perform(prober.handleDatagram(now, reply.bytes, reply.from))
      } else perform(prober.handleTimeout(now))
    }
    now = end
  }
  return { prober, sent, events, state, runUntil, perform, replies }
}

test('the verdict comes as soon as every server has answered', () => {
  const { events, runUntil } = begin(() => mapped)
  runUntil(1_000)
  assert.deepEqual(
    events.map(({ at, event }) => [at, event.type, event.profile.mapping, event.publicEndpoints]),
    [[20, 'profile', 'EIM', [mapped]]],
  )
})

test('once the mapping is clear, a silent server delays the verdict by three round trips at most', () => {
  const { events, state, runUntil } = begin((server) => (server === third ? null : mapped))
  state.delayMs = 100
  runUntil(3_000)
  assert.deepEqual(
    events.map(({ at, event }) => [at, event.type, event.profile.mapping]),
    [[300, 'profile', 'EIM']],
  )
})

test('while a single answer leaves the mapping unclear, the other servers are asked at 0, 500 and 1500 ms', () => {
  const { events, sent, runUntil } = begin((server) => (server === first ? mapped : null))
  runUntil(3_000)
  assert.deepEqual(
    sent.filter(({ to }) => to === third).map(({ at }) => at),
    [0, 500, 1_500],
  )
  assert.deepEqual(
    events.map(({ at, event }) => [at, event.type, event.profile.mapping]),
    [[2_200, 'profile', 'unknown']],
  )
})

test('when all servers are silent the profile is unknown, and they are asked again at growing intervals', () => {
  const { events, sent, state, runUntil } = begin(() => null)
  runUntil(3_000)
  assert.deepEqual(events[0]?.event.publicEndpoints, [])
  assert.equal(events[0]?.event.profile.mapping, 'unknown')
  runUntil(300_000)
  assert.ok(sent.length < 3 * 3 * 10, `${sent.length}`)
  state.answer = () => mapped
  runUntil(400_000)
  assert.deepEqual(
    events.map(({ event }) => [event.type, event.profile.mapping]),
    [
      ['profile', 'unknown'],
      ['changed', 'EIM'],
    ],
  )
})

test('without servers there is a verdict at once', () => {
  const { events, runUntil } = begin(() => null, [])
  runUntil(0)
  assert.equal(events[0]?.event.profile.mapping, 'unknown')
})

test('the verdict does not wait for a server that answered with an error', () => {
  const { prober, sent, events, runUntil, perform } = begin((server) => (server === first ? null : mapped))
  runUntil(10)
  const request = sent.find(({ to }) => to === first)
  assert.ok(request)
  const decoded = decodeStun(request.bytes)
  assert.ok(decoded.ok)
  perform(prober.handleDatagram(10, encodeError(decoded.message.transactionId, 500), first))
  runUntil(100)
  assert.equal(events.length, 1)
})

test('after the verdict one server in turn is asked every 8 s', () => {
  const { sent, runUntil } = begin(() => mapped)
  runUntil(30_000)
  assert.deepEqual(
    sent.slice(3).map(({ at, to }) => [at, to]),
    [
      [8_000, first],
      [16_000, second],
      [24_000, third],
    ],
  )
})

test('a changed mapping is emitted once, with the new endpoint', () => {
  const { events, state, runUntil } = begin(() => mapped)
  runUntil(10_000)
  state.answer = () => other
  runUntil(100_000)
  assert.deepEqual(
    events.map(({ event }) => [event.type, event.publicEndpoints]),
    [
      ['profile', [mapped]],
      ['changed', [other]],
    ],
  )
})

test('a change is noticed even with a single server', () => {
  const { events, state, runUntil } = begin(() => mapped, [first])
  runUntil(10_000)
  state.answer = () => other
  runUntil(100_000)
  assert.deepEqual(events.at(-1)?.event.publicEndpoints, [other])
})

test('when every destination has its own port, new ports are no change, even from more servers than before', () => {
  const portOf = (server: Endpoint, base: number) => ({
    address: mapped.address,
    port: base + server.port + Number(server.address.split('.').at(-1)),
  })
  // One server is silent at first.
  const { events, state, runUntil } = begin((server) => (server === third ? null : portOf(server, 20_000)))
  runUntil(10_000)
  state.answer = (server) => portOf(server, 30_000)
  runUntil(200_000)
  assert.deepEqual(
    events.map(({ event }) => [event.type, event.profile.mapping]),
    [['profile', 'APDM']],
  )
})

test('one server that starts to lie changes nothing', () => {
  const { events, state, runUntil } = begin(() => mapped)
  runUntil(10_000)
  let falseAnswers = 0
  state.answer = (server) =>
    server === second ? { address: '6.6.6.6', port: 1000 + falseAnswers++ } : mapped
  runUntil(200_000)
  assert.equal(events.length, 1)
})

test('forged, late and repeated answers have no effect', () => {
  const { prober, sent, events, runUntil, perform } = begin(() => null)
  runUntil(10)
  const requests = servers.map((server) => {
    const decoded = decodeStun(sent.find(({ to }) => to === server)?.bytes ?? new Uint8Array())
    assert.ok(decoded.ok)
    return decoded.message.transactionId
  }) as [Uint8Array, Uint8Array, Uint8Array]
  const answer = (transactionId: Uint8Array, to: Endpoint) => encodeSuccess({ transactionId, mapped: to })
  // From another endpoint; another server's ID; a guessed ID; another family.
  perform(prober.handleDatagram(10, answer(requests[0], other), { ...first, port: 99 }))
  perform(prober.handleDatagram(10, answer(requests[0], other), second))
  perform(prober.handleDatagram(10, answer(new Uint8Array(12), other), first))
  perform(prober.handleDatagram(10, answer(requests[0], { address: '2001::1', port: 1 }), first))
  // Genuine, then a different answer of the same server.
  perform(prober.handleDatagram(10, answer(requests[0], mapped), first))
  perform(prober.handleDatagram(11, answer(requests[0], other), first))
  runUntil(3_000)
  perform(prober.handleDatagram(3_001, answer(requests[1], other), second))
  assert.equal(events.length, 1)
  assert.deepEqual(events[0]?.event.publicEndpoints, [mapped])
})

test('after stop it neither asks nor answers', () => {
  const { prober, events, runUntil } = begin(() => mapped)
  prober.stop()
  assert.equal(prober.nextTimeout(), null)
  runUntil(100_000)
  assert.deepEqual(events, [])
})

test('at most eight servers are asked, and none twice', () => {
  const manyServers = Array.from({ length: 20 }, (_, i) => ({
    address: `11.0.1.${(i % 12) + 1}`,
    port: 3478,
  }))
  const { sent, runUntil } = begin(() => null, manyServers)
  runUntil(0)
  assert.equal(sent.length, 8)
  assert.equal(new Set(sent.map(({ to }) => to.address)).size, 8)
})

test('with any datagrams and socket failures it never throws, emits two profiles, asks strangers, or uses a closed socket', () => {
  const elsewhere = { address: '11.0.0.9', port: 3479 }
  const step = fc.record({
    waitMs: fc.oneof(fc.nat(300), fc.nat(6_000)),
    from: fc.constantFrom(first, second, third, other, elsewhere),
    bytes: fc.uint8Array({ maxLength: 60 }),
    /** Index of the latest request that is answered or echoed; none when it is 9. */
    answers: fc.nat(9),
    echoes: fc.boolean(),
    via: fc.option(fc.nat(40)),
    fails: fc.boolean(),
    to: fc.constantFrom(mapped, other, local),
    otherAddress: fc.option(fc.constantFrom(elsewhere, { address: '10.0.0.1', port: 5 })),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const prober = createProber({ crypto: seededCrypto(2), servers, localEndpoints: [local], now: 0 })
      let now = 0
      let profiles = 0
      const closed = new Set<number>()
      const latest: { bytes: Uint8Array; via: number; to: Endpoint }[] = []
      const knownAddresses = [...servers, mapped, other, elsewhere].map(({ address }) => address)
      const perform = (actions: Action<ProberEvent>[]) => {
        for (const action of actions) {
          if (action.type === 'event') profiles += action.event.type === 'profile' ? 1 : 0
          else if (action.type === 'close') closed.add(action.via)
          else {
            const { via = 0, to, bytes } = action
            assert.ok(knownAddresses.includes(to.address), to.address)
            assert.ok(!closed.has(via))
            latest.unshift({ bytes, via, to })
          }
        }
      }
      perform(prober.handleTimeout(0))
      for (const { waitMs, from, bytes, answers, echoes, via, fails, to, otherAddress } of steps) {
        now += waitMs
        perform(prober.handleTimeout(now))
        const request = latest[answers]
        if (request) {
          const transactionId = request.bytes.slice(8, 20)
          const answer = encodeSuccess({ transactionId, mapped: to, ...(otherAddress && { otherAddress }) })
          const source = via === null ? request.to : from
          perform(prober.handleDatagram(now, echoes ? request.bytes : answer, source, via ?? request.via))
        } else perform(prober.handleDatagram(now, bytes, from, via ?? 0))
        if (fails && via) perform(prober.handleSocketFailure?.(now, via) ?? [])
        const next = prober.nextTimeout()
        assert.ok(next !== null && next <= now + 60_000)
      }
      assert.ok(profiles <= 1)
    }),
    { numRuns: 300 },
  )
})
