// A port is kept open at a router that grants, refuses, is silent, or forgets.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatEndpoint } from '../../src/base/endpoint.ts'
import type { Gateway, Granted, MappingRequest } from '../../src/net/portmap/gateway.ts'
import { type PortMapping, RenewedMapping } from '../../src/net/portmap/mapping-renewal.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const external = { address: '11.9.0.10', port: 4321 }
const leaseMs = 100_000

type Answer = 'silence' | 'refusal' | Partial<Granted>

/** A router that gives the next answer at once; the last answer is repeated. */
class Router implements Gateway {
  readonly language = 'PCP'
  readonly router = '10.0.1.1'
  readonly requests: (MappingRequest & { at: number })[] = []
  readonly unmapped: Granted[] = []
  readonly answers: Answer[]
  readonly #clock: VirtualClock

  constructor(clock: VirtualClock, ...answers: Answer[]) {
    this.#clock = clock
    this.answers = answers
  }

  async map(request: MappingRequest, signal: AbortSignal): Promise<Granted> {
    this.requests.push({ ...request, at: this.#clock.now() })
    const answer = this.answers.length > 1 ? this.answers.shift() : this.answers[0]
    if (answer === undefined || answer === 'refusal') throw new Error('refused')
    if (answer === 'silence') return untilAborted(signal)
    return { external, lifetimeMs: request.leaseMs, ...answer }
  }

  async unmap(granted: Granted, internalPort: number): Promise<void> {
    assert.equal(internalPort, 4321)
    this.unmapped.push(granted)
  }
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}

function startMapping(clock: VirtualClock, ...routers: readonly Gateway[]) {
  const reported: (PortMapping | null)[] = []
  let searches = 0
  const renewed = new RenewedMapping({
    clock,
    port: 4321,
    leaseMs,
    findGateways: async function* () {
      searches++
      yield* routers
    },
    onChange: (mapping) => reported.push(mapping),
  })
  return { renewed, reported, searches: () => searches }
}

const mapping: PortMapping = { external, language: 'PCP', router: '10.0.1.1' }

test('a granted port is reported once, renewed after half its lease, and deleted at the end', async () => {
  const clock = new VirtualClock()
  const router = new Router(clock, {})
  const { renewed, reported } = startMapping(clock, router)
  await renewed.settled
  assert.deepEqual(reported, [mapping])
  await clock.advance(2.2 * leaseMs)
  assert.deepEqual(
    router.requests.map(({ at }) => at),
    [0, 50_000, 100_000, 150_000, 200_000],
  )
  assert.deepEqual(reported, [mapping])
  await renewed.close()
  assert.equal(router.unmapped.length, 1)
  assert.equal(clock.pendingTimers, 0)
})

test('the router decides port and lease: its port is requested again after half of its lease', async () => {
  const clock = new VirtualClock()
  const other = { ...external, port: 5000 }
  const router = new Router(clock, { external: other, lifetimeMs: 20_000 })
  const { renewed, reported } = startMapping(clock, router)
  await clock.advance(10_000)
  assert.deepEqual(
    router.requests.map(({ externalPort, at }) => [externalPort, at]),
    [
      [4321, 0],
      [5000, 10_000],
    ],
  )
  assert.deepEqual(reported, [{ ...mapping, external: other }])
  await renewed.close()
})

test('the next gateway is tried when one refuses or is silent', async () => {
  const clock = new VirtualClock()
  const [first, second] = [new Router(clock, 'refusal'), new Router(clock, {})]
  const { renewed, reported } = startMapping(clock, first, second)
  await renewed.settled
  assert.deepEqual(reported, [mapping])
  assert.deepEqual([first.requests.length, second.requests.length], [1, 1])
  await renewed.close()
  assert.deepEqual([first.unmapped.length, second.unmapped.length], [0, 1])
})

test('a failed renewal is repeated until the lease ends; then the mapping is lost and requested anew', async () => {
  const clock = new VirtualClock()
  const router = new Router(clock, {}, 'refusal')
  const { renewed, reported, searches } = startMapping(clock, router)
  await clock.advance(leaseMs - 1_000)
  assert.ok(router.requests.length > 4, `${router.requests.length} tries`)
  assert.deepEqual(reported, [mapping])
  await clock.advance(2_000)
  assert.deepEqual(reported, [mapping, null])
  assert.equal(searches(), 2)
  router.answers[0] = {}
  await clock.advance(10 * 60_000)
  assert.deepEqual(reported, [mapping, null, mapping])
  await renewed.close()
})

test('another external address of the router is reported', async () => {
  const clock = new VirtualClock()
  const moved = { address: '11.9.0.11', port: 4321 }
  const { renewed, reported } = startMapping(clock, new Router(clock, {}, { external: moved }))
  await clock.advance(60_000)
  assert.deepEqual(reported, [mapping, { ...mapping, external: moved }])
  await renewed.close()
})

test('when no gateway grants the port, it is requested again every ten minutes', async () => {
  const clock = new VirtualClock()
  const router = new Router(clock, 'refusal')
  const { renewed, reported } = startMapping(clock, router)
  await renewed.settled
  await clock.advance(30 * 60_000)
  assert.equal(router.requests.length, 4)
  assert.deepEqual(reported, [])
  await renewed.close()
  assert.equal(clock.pendingTimers, 0)
})

test('without an answer the request ends after ten seconds, and a failed search ends at once', async () => {
  const clock = new VirtualClock()
  const { renewed } = startMapping(clock, new Router(clock, 'silence'))
  let isSettled = false
  void renewed.settled.then(() => {
    isSettled = true
  })
  await clock.advance(9_900)
  assert.equal(isSettled, false)
  await clock.advance(200)
  assert.equal(isSettled, true)
  await renewed.close()
  const broken = new RenewedMapping({
    clock,
    port: 1,
    // biome-ignore lint/correctness/useYield: it fails before there is anything to give
    findGateways: async function* () {
      throw new Error('no routes')
    },
    onChange: () => assert.fail('nothing is reported'),
  })
  await broken.settled
  await broken.close()
  assert.equal(clock.pendingTimers, 0)
})

test('close during a request deletes the mapping it brings, and reports nothing', async () => {
  const clock = new VirtualClock()
  const router = new Router(clock, {})
  const slow: Gateway = {
    ...router,
    language: 'PCP',
    router: '10.0.1.1',
    map: async (request, signal) => {
      await new Promise<void>((resolve) => clock.after(500, resolve))
      return router.map(request, signal)
    },
    unmap: (granted, port) => router.unmap(granted, port),
  }
  const { renewed, reported } = startMapping(clock, slow)
  await clock.advance(100)
  const closing = renewed.close()
  await clock.advance(500)
  await closing
  assert.deepEqual(reported, [])
  assert.equal(router.unmapped.length, 1)
  assert.equal(clock.pendingTimers, 0)
})

test('close takes two seconds at most, even with a silent router', async () => {
  for (const answers of [['silence'], [{}]] as Answer[][]) {
    const clock = new VirtualClock()
    const router = new Router(clock, ...answers)
    router.unmap = (_granted, _port, signal?: AbortSignal) =>
      untilAborted(signal ?? AbortSignal.abort(new Error('no signal')))
    const { renewed } = startMapping(clock, router)
    await clock.advance(100)
    let isClosed = false
    void renewed.close().then(() => {
      isClosed = true
    })
    await clock.advance(2_000)
    assert.ok(isClosed)
    assert.equal(clock.pendingTimers, 0)
  }
})

test('whatever the router does, the last reported mapping is the one held, and it is deleted at the end', async () => {
  const answer: fc.Arbitrary<Answer> = fc.oneof(
    fc.constantFrom<Answer>('silence', 'refusal'),
    fc.record({
      external: fc.record({
        address: fc.constantFrom('11.9.0.10', '192.168.1.2'),
        port: fc.constantFrom(1, 4321),
      }),
      lifetimeMs: fc.constantFrom(0, 1, 999, 5_000, 60_000, 4_294_967_295_000),
    }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(answer, { minLength: 1, maxLength: 8 }),
      fc.nat(200_000),
      async (answers, stopAt) => {
        const clock = new VirtualClock()
        const router = new Router(clock, ...answers)
        const { renewed, reported } = startMapping(clock, router)
        await clock.advance(stopAt)
        const last = reported.at(-1) ?? null
        const requests = router.requests.length
        // Never more than two requests a second: a renewal and a new request.
        assert.ok(requests <= 2 + stopAt / 500, `${requests} requests in ${stopAt} ms`)
        reported.forEach((now, index) => {
          assert.notDeepEqual(now, reported[index - 1], 'nothing is reported twice')
        })
        const closing = renewed.close()
        await clock.advance(2_000)
        await closing
        if (last)
          assert.deepEqual(
            router.unmapped.map((granted) => formatEndpoint(granted.external)),
            [formatEndpoint(last.external)],
          )
        assert.ok(router.unmapped.length <= 1)
        assert.equal(clock.pendingTimers, 0)
        assert.equal(router.requests.length, requests)
      },
    ),
    { numRuns: 200 },
  )
})
