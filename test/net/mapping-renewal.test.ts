// Keeping a port open at a router that grants, refuses, is silent, forgets.

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

/** A router that does as the next answer says, at once; the last answer is repeated. */
class Router implements Gateway {
  readonly language = 'PCP'
  readonly router = '10.0.1.1'
  readonly wishes: (MappingRequest & { at: number })[] = []
  readonly unmapped: Granted[] = []
  readonly answers: Answer[]
  readonly #clock: VirtualClock

  constructor(clock: VirtualClock, ...answers: Answer[]) {
    this.#clock = clock
    this.answers = answers
  }

  async map(request: MappingRequest, signal: AbortSignal): Promise<Granted> {
    this.wishes.push({ ...request, at: this.#clock.now() })
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

function keep(clock: VirtualClock, ...routers: readonly Gateway[]) {
  const told: (PortMapping | null)[] = []
  let searches = 0
  const keeper = new RenewedMapping({
    clock,
    port: 4321,
    leaseMs,
    find: async function* () {
      searches++
      yield* routers
    },
    onChange: (mapping) => told.push(mapping),
  })
  return { keeper, told, searches: () => searches }
}

const mapping: PortMapping = { external, language: 'PCP', router: '10.0.1.1' }

test('a granted port is told once, renewed after half its lease, and taken back at the end', async () => {
  const clock = new VirtualClock()
  const router = new Router(clock, {})
  const { keeper, told } = keep(clock, router)
  await keeper.settled
  assert.deepEqual(told, [mapping])
  await clock.advance(2.2 * leaseMs)
  assert.deepEqual(
    router.wishes.map(({ at }) => at),
    [0, 50_000, 100_000, 150_000, 200_000],
  )
  assert.deepEqual(told, [mapping])
  await keeper.close()
  assert.equal(router.unmapped.length, 1)
  assert.equal(clock.pendingTimers, 0)
})

test('the router decides port and lease: what it gave is wished again, after half of what it gave', async () => {
  const clock = new VirtualClock()
  const other = { ...external, port: 5000 }
  const router = new Router(clock, { external: other, lifetimeMs: 20_000 })
  const { keeper, told } = keep(clock, router)
  await clock.advance(10_000)
  assert.deepEqual(
    router.wishes.map(({ externalPort, at }) => [externalPort, at]),
    [
      [4321, 0],
      [5000, 10_000],
    ],
  )
  assert.deepEqual(told, [{ ...mapping, external: other }])
  await keeper.close()
})

test('the next way is asked when one refuses or is silent', async () => {
  const clock = new VirtualClock()
  const [first, second] = [new Router(clock, 'refusal'), new Router(clock, {})]
  const { keeper, told } = keep(clock, first, second)
  await keeper.settled
  assert.deepEqual(told, [mapping])
  assert.deepEqual([first.wishes.length, second.wishes.length], [1, 1])
  await keeper.close()
  assert.deepEqual([first.unmapped.length, second.unmapped.length], [0, 1])
})

test('a renewal that fails is tried again until the lease is over; then it is lost, and asked for anew', async () => {
  const clock = new VirtualClock()
  const router = new Router(clock, {}, 'refusal')
  const { keeper, told, searches } = keep(clock, router)
  await clock.advance(leaseMs - 1_000)
  assert.ok(router.wishes.length > 4, `${router.wishes.length} tries`)
  assert.deepEqual(told, [mapping])
  await clock.advance(2_000)
  assert.deepEqual(told, [mapping, null])
  assert.equal(searches(), 2)
  router.answers[0] = {}
  await clock.advance(10 * 60_000)
  assert.deepEqual(told, [mapping, null, mapping])
  await keeper.close()
})

test('a router with another address outside is told of', async () => {
  const clock = new VirtualClock()
  const moved = { address: '11.9.0.11', port: 4321 }
  const { keeper, told } = keep(clock, new Router(clock, {}, { external: moved }))
  await clock.advance(60_000)
  assert.deepEqual(told, [mapping, { ...mapping, external: moved }])
  await keeper.close()
})

test('where nobody grants anything it is asked again every ten minutes', async () => {
  const clock = new VirtualClock()
  const router = new Router(clock, 'refusal')
  const { keeper, told } = keep(clock, router)
  await keeper.settled
  await clock.advance(30 * 60_000)
  assert.equal(router.wishes.length, 4)
  assert.deepEqual(told, [])
  await keeper.close()
  assert.equal(clock.pendingTimers, 0)
})

test('silence ends the asking after ten seconds, and a search that fails at once', async () => {
  const clock = new VirtualClock()
  const { keeper } = keep(clock, new Router(clock, 'silence'))
  let isSettled = false
  void keeper.settled.then(() => {
    isSettled = true
  })
  await clock.advance(9_900)
  assert.equal(isSettled, false)
  await clock.advance(200)
  assert.equal(isSettled, true)
  await keeper.close()
  const broken = new RenewedMapping({
    clock,
    port: 1,
    // biome-ignore lint/correctness/useYield: it fails before there is anything to give
    find: async function* () {
      throw new Error('no routes')
    },
    onChange: () => assert.fail('nothing is told'),
  })
  await broken.settled
  await broken.close()
  assert.equal(clock.pendingTimers, 0)
})

test('closing while a request is under way takes back what comes of it, and tells nobody', async () => {
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
  const { keeper, told } = keep(clock, slow)
  await clock.advance(100)
  const closing = keeper.close()
  await clock.advance(500)
  await closing
  assert.deepEqual(told, [])
  assert.equal(router.unmapped.length, 1)
  assert.equal(clock.pendingTimers, 0)
})

test('closing takes two seconds at most, whoever is silent', async () => {
  for (const answers of [['silence'], [{}]] as Answer[][]) {
    const clock = new VirtualClock()
    const router = new Router(clock, ...answers)
    router.unmap = (_granted, _port, signal?: AbortSignal) =>
      untilAborted(signal ?? AbortSignal.abort(new Error('no signal')))
    const { keeper } = keep(clock, router)
    await clock.advance(100)
    let isClosed = false
    void keeper.close().then(() => {
      isClosed = true
    })
    await clock.advance(2_000)
    assert.ok(isClosed)
    assert.equal(clock.pendingTimers, 0)
  }
})

test('whatever the router does: what is held is what was told last, and is taken back', async () => {
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
        const { keeper, told } = keep(clock, router)
        await clock.advance(stopAt)
        const last = told.at(-1) ?? null
        const wishes = router.wishes.length
        // Never more than two questions a second: one to renew, and one to ask anew.
        assert.ok(wishes <= 2 + stopAt / 500, `${wishes} wishes in ${stopAt} ms`)
        told.forEach((now, index) => {
          assert.notDeepEqual(now, told[index - 1], 'nothing is told twice')
        })
        const closing = keeper.close()
        await clock.advance(2_000)
        await closing
        if (last)
          assert.deepEqual(
            router.unmapped.map((granted) => formatEndpoint(granted.external)),
            [formatEndpoint(last.external)],
          )
        assert.ok(router.unmapped.length <= 1)
        assert.equal(clock.pendingTimers, 0)
        assert.equal(router.wishes.length, wishes)
      },
    ),
    { numRuns: 200 },
  )
})
