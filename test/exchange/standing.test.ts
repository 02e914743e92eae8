// Hosts that stand in for each other, under loss, delay, death and return: every request is answered in time, and at
// rest exactly one of those alive is awake.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Standing, type StandingAction, standingLimits } from '../../src/exchange/standing.ts'
import { SimulatedTime } from '../harness/simulator/simulated-time.ts'

const patienceMs = 15_000
const askAgainMs = 60_000
const mailMs = 4_000
const tellAfterMs = 2_000

type Asked = { readonly key: string; readonly version: string }
type Host = { readonly id: string; standing: Standing<Asked> | null; readonly told: Map<string, string> }

/** Hosts and agents around a mail system that loses letters while it is told to. */
class Village {
  readonly time = new SimulatedTime()
  readonly hosts: Host[]
  readonly #random: () => number
  lost = 0
  /** By agent, the latest version that some host has answered. */
  readonly answered = new Map<string, string>()
  replies = 0

  constructor(count: number, random: () => number) {
    this.#random = random
    this.hosts = Array.from({ length: count }, (_, index) => ({
      id: `host ${index}`,
      standing: null,
      told: new Map(),
    }))
    for (const host of this.hosts) this.start(host)
  }

  get awake(): readonly string[] {
    return this.hosts.filter(({ standing }) => standing?.isAwake).map(({ id }) => id)
  }

  start(host: Host): void {
    const hosts = this.hosts.filter((other) => other !== host).map(({ id }) => id)
    host.standing = new Standing({ self: host.id, hosts, patienceMs })
  }

  /** One request, to all hosts. */
  ask(asked: Asked): void {
    for (const host of this.hosts) {
      this.#mail(() => {
        // Another host's letter may overtake the agent's.
        if (host.standing?.isAwake === false && (host.told.get(asked.key) ?? '') >= asked.version) return
        const isHeld = host.standing?.handleRequest(this.time.now(), asked.key, asked.version, asked)
        if (isHeld === false) this.#answer(host, asked)
        this.#arm(host)
      })
    }
  }

  #answer(host: Host, { key, version }: Asked): void {
    this.replies++
    if (version > (this.answered.get(key) ?? '')) this.answered.set(key, version)
    for (const other of this.hosts) {
      if (other === host) continue
      this.time.after(tellAfterMs, () => {
        if (!host.standing) return
        this.#mail(() => {
          if (other.standing && version > (other.told.get(key) ?? '')) other.told.set(key, version)
          other.standing?.handleTold(key, version)
        })
      })
    }
  }

  #perform(host: Host, actions: readonly StandingAction<Asked>[]): void {
    for (const action of actions) {
      if (action.type === 'wake') for (const asked of action.answer) this.#answer(host, asked)
      if (action.type !== 'announce') continue
      const to = this.hosts.find(({ id }) => id === action.to)
      this.#mail(() => {
        if (!to?.standing) return
        this.#perform(to, to.standing.handleAnnouncement(this.time.now(), host.id))
        this.#arm(to)
      })
    }
  }

  /** The machine that asked for the timer may be another than the one that runs then; too early is no harm. */
  #arm(host: Host): void {
    const due = host.standing?.nextTimeout() ?? null
    if (due === null) return
    this.time.after(Math.max(1, due - this.time.now()), () => {
      if (!host.standing) return
      const actions = host.standing.handleTimeout(this.time.now())
      this.#perform(host, actions)
      if (actions.length > 0 || host.standing.nextTimeout() !== due) this.#arm(host)
    })
  }

  #mail(arrive: () => void): void {
    if (this.#random() >= this.lost) this.time.after(this.#random() * mailMs, arrive)
  }
}

const seeds = fc.integer({ min: 1, max: 0x7fffffff })

/** Small and seeded (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

test('under loss, delay, death and return every request is answered in time, and at rest one host is awake', () => {
  const troubles = fc.array(
    fc.record({
      host: fc.nat(4),
      does: fc.constantFrom('die', 'return', 'nothing'),
      lost: fc.double({ min: 0, max: 0.6, noNaN: true }),
    }),
    { minLength: 1, maxLength: 12 },
  )
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), seeds, troubles, (count, seed, steps) => {
      const village = new Village(count, randomOf(seed))
      let number = 0
      const version = () => String(++number).padStart(8, '0')
      for (const { host: index, does, lost } of steps) {
        const host = village.hosts[index % count] as Host
        if (does === 'die') host.standing = null
        else if (does === 'return' && !host.standing) village.start(host)
        village.lost = lost
        village.ask({ key: `agent ${number % 3}`, version: version() })
        village.time.run(20_000)
      }
      // From here on mail arrives and nobody dies.
      village.lost = 0
      if (!village.hosts.some(({ standing }) => standing)) village.start(village.hosts[0] as Host)
      const last = { key: 'last', version: version() }
      village.ask(last)
      village.time.run(count * patienceMs + mailMs)
      assert.equal(village.answered.get('last'), last.version)
      village.time.run(2 * standingLimits.longestAnnounceMs)
      assert.equal(village.awake.length, 1)
      const before = village.replies
      village.ask({ key: 'last', version: version() })
      village.time.run(askAgainMs)
      assert.equal(village.replies - before, 1)
    }),
    { numRuns: 500 },
  )
})

test('hosts that woke at once agree on the one that comes first, whatever was lost before', () => {
  const village = new Village(3, randomOf(7))
  village.lost = 1
  for (const { standing } of village.hosts)
    standing?.handleRequest(0, 'agent', '1', { key: 'agent', version: '1' })
  for (const { standing } of village.hosts) standing?.handleTimeout(3 * patienceMs)
  assert.equal(village.awake.length, 3)
  const [first, second, third] = village.hosts.map(({ standing }) => standing)
  assert.deepEqual(second?.handleAnnouncement(1, 'host 0'), [{ type: 'sleep' }])
  assert.deepEqual(third?.handleAnnouncement(1, 'host 1'), [{ type: 'sleep' }])
  assert.deepEqual(first?.handleAnnouncement(1, 'host 2'), [])
  assert.deepEqual(village.awake, ['host 0'])
})

test('an announcement of a host that is not known has no effect', () => {
  const standing = new Standing({ self: 'b', hosts: ['c'], patienceMs })
  standing.handleRequest(0, 'agent', '1', null)
  standing.handleTimeout(patienceMs)
  assert.equal(standing.isAwake, true)
  assert.deepEqual(standing.handleAnnouncement(1, 'a'), [])
  assert.equal(standing.isAwake, true)
})

test('a request that an older statement tells of still waits, and whoever asks again is not put off', () => {
  const standing = new Standing<string>({ self: 'b', hosts: ['a'], patienceMs })
  standing.handleRequest(0, 'agent', '2', 'second')
  standing.handleTold('agent', '1')
  standing.handleRequest(10_000, 'agent', '3', 'third')
  assert.equal(standing.nextTimeout(), 2 * patienceMs)
  assert.deepEqual(standing.handleTimeout(2 * patienceMs), [
    { type: 'wake', answer: ['third'] },
    { type: 'announce', to: 'a' },
  ])
})

test('so many requests wait and no more', () => {
  const standing = new Standing<number>({ self: 'a', hosts: ['b'], patienceMs })
  for (let number = 0; number <= standingLimits.waiting; number++)
    standing.handleRequest(number, `agent ${number}`, '1', number)
  const [wake] = standing.handleTimeout(1e9)
  assert.ok(wake?.type === 'wake')
  assert.equal(wake.answer.length, standingLimits.waiting)
  assert.equal(wake.answer[0], 1)
})
