// Hosts elect one that answers, while letters are lost or late and hosts stop and start. Every request is answered in time.
// When nothing changes any more, exactly one running host is awake.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type StandbyAction, StandbyElection, standbyLimits } from '../../src/sync/standby-election.ts'
import { SimulatedTime } from '../harness/simulator/simulated-time.ts'

const answerTimeoutMs = 15_000
const askAgainMs = 60_000
const mailMs = 4_000
const sendAfterMs = 2_000

type Asked = { readonly key: string; readonly version: string }
/** Whether the hosts at two positions know each other. The lower position comes first. */
type Links = (first: number, second: number) => boolean
type Host = {
  readonly id: string
  election: StandbyElection<Asked> | null
  /** The latest version of each key whose statement it got. */
  readonly known: Map<string, string>
}

/** Hosts and agents with a mail system that loses the share `lost` of all letters. */
class World {
  readonly time = new SimulatedTime()
  readonly hosts: Host[]
  readonly #random: () => number
  lost = 0
  /** For each agent the latest version that a host has answered. */
  readonly answered = new Map<string, string>()
  replies = 0
  readonly #isLinked: Links

  /** `isLinked`: which hosts know each other. If left out, all do. */
  constructor(count: number, random: () => number, isLinked: Links = () => true) {
    this.#random = random
    this.#isLinked = isLinked
    this.hosts = Array.from({ length: count }, (_, index) => ({
      id: `host ${index}`,
      election: null,
      known: new Map(),
    }))
    for (const host of this.hosts) this.start(host)
  }

  get awake(): readonly string[] {
    return this.hosts.filter(({ election }) => election?.isAwake).map(({ id }) => id)
  }

  start(host: Host): void {
    const hosts = this.#knownTo(host).map(({ id }) => id)
    host.election = new StandbyElection({ self: host.id, hosts, answerTimeoutMs })
  }

  /** Sends one request to a host and all hosts that it knows, as in its invite. */
  ask(asked: Asked, inviter: Host = this.hosts[0] as Host): void {
    const all = [inviter, ...this.#knownTo(inviter)]
    for (const host of all) {
      const others = all.filter((other) => other !== host && this.#knownTo(host).includes(other))
      this.#mail(() => {
        // Another host's letter may overtake the agent's.
        if (host.election?.isAwake === false && (host.known.get(asked.key) ?? '') >= asked.version) return
        const isHeld = host.election?.handleRequest(
          this.time.now(),
          asked.key,
          asked.version,
          asked,
          others.map(({ id }) => id),
        )
        if (isHeld === false) this.#answer(host, asked)
        this.#arm(host)
      })
    }
  }

  #answer(host: Host, { key, version }: Asked): void {
    this.replies++
    if (version > (this.answered.get(key) ?? '')) this.answered.set(key, version)
    this.#sendStatement(host, { key, version })
  }

  /** A host sends on what is new to it. */
  #sendStatement(host: Host, { key, version }: Asked): void {
    for (const other of this.#knownTo(host)) {
      this.time.after(sendAfterMs, () => {
        if (!host.election) return
        this.#mail(() => {
          const isNew = other.election !== null && version > (other.known.get(key) ?? '')
          other.election?.handleAnswered(key, version)
          if (!isNew) return
          other.known.set(key, version)
          this.#sendStatement(other, { key, version })
        })
      })
    }
  }

  #knownTo(host: Host): readonly Host[] {
    const place = this.hosts.indexOf(host)
    return this.hosts.filter(
      (other, index) => other !== host && this.#isLinked(Math.min(place, index), Math.max(place, index)),
    )
  }

  #perform(host: Host, actions: readonly StandbyAction<Asked>[]): void {
    for (const action of actions) {
      if (action.type === 'wake') for (const asked of action.answer) this.#answer(host, asked)
      if (action.type !== 'announce') continue
      const to = this.hosts.find(({ id }) => id === action.to)
      this.#mail(() => {
        if (!to?.election) return
        this.#perform(to, to.election.handleAnnouncement(this.time.now(), host.id))
        this.#arm(to)
      })
    }
  }

  /** The host may have restarted before the timer runs. An early timeout does no harm. */
  #arm(host: Host): void {
    const due = host.election?.nextTimeout() ?? null
    if (due === null) return
    this.time.after(Math.max(1, due - this.time.now()), () => {
      if (!host.election) return
      const actions = host.election.handleTimeout(this.time.now())
      this.#perform(host, actions)
      if (actions.length > 0 || host.election.nextTimeout() !== due) this.#arm(host)
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

test('with lost and late letters and hosts that stop and start, every request is answered in time, and at rest one host is awake', () => {
  const troubles = fc.array(
    fc.record({
      host: fc.nat(4),
      action: fc.constantFrom('stop', 'start', 'none'),
      lost: fc.double({ min: 0, max: 0.6, noNaN: true }),
    }),
    { minLength: 1, maxLength: 12 },
  )
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), seeds, troubles, (count, seed, steps) => {
      const world = new World(count, randomOf(seed))
      let number = 0
      const version = () => String(++number).padStart(8, '0')
      for (const { host: index, action, lost } of steps) {
        const host = world.hosts[index % count] as Host
        if (action === 'stop') host.election = null
        else if (action === 'start' && !host.election) world.start(host)
        world.lost = lost
        world.ask({ key: `agent ${number % 3}`, version: version() })
        world.time.run(20_000)
      }
      // From here on all letters arrive and no host stops.
      world.lost = 0
      if (!world.hosts.some(({ election }) => election)) world.start(world.hosts[0] as Host)
      const last = { key: 'last', version: version() }
      world.ask(last)
      world.time.run(count * answerTimeoutMs + mailMs)
      assert.equal(world.answered.get('last'), last.version)
      world.time.run(2 * standbyLimits.longestAnnounceMs)
      assert.equal(world.awake.length, 1)
      const before = world.replies
      world.ask({ key: 'last', version: version() })
      world.time.run(askAgainMs)
      assert.equal(world.replies - before, 1)
    }),
    { numRuns: 500 },
  )
})

/** A tree of hosts in any order (a chain is one), and some more links. */
const shapes = fc
  .record({
    order: fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 3, maxLength: 6 }),
    parents: fc.array(fc.nat(), { minLength: 6, maxLength: 6 }),
    more: fc.array(fc.tuple(fc.nat(5), fc.nat(5)), { maxLength: 3 }),
  })
  .map(({ order, parents, more }) => {
    const ranks = order.map((place) => order.filter((other) => other < place).length)
    const pairs = ranks
      .slice(1)
      .map((place, index) => [place, ranks[(parents[index] as number) % (index + 1)] as number] as const)
    const names = [...pairs, ...more].map(([one, other]) => `${Math.min(one, other)}-${Math.max(one, other)}`)
    return { count: ranks.length, links: new Set(names) }
  })

test('in a chain or any other connected set of hosts, no two that know each other are awake at rest, and every request is answered', () => {
  fc.assert(
    fc.property(shapes, seeds, ({ count, links }, seed) => {
      const random = randomOf(seed)
      const isLinked: Links = (first, second) => links.has(`${first}-${second}`)
      const world = new World(count, random, isLinked)
      let number = 0
      const ask = (place: number, withinMs: number): boolean => {
        const asked = { key: `agent ${place}`, version: String(++number).padStart(8, '0') }
        world.ask(asked, world.hosts[place])
        world.time.run(withinMs)
        return world.answered.get(asked.key) === asked.version
      }
      const long = 2 * count * answerTimeoutMs
      world.lost = random() / 2
      for (const host of world.hosts) {
        ask(Math.floor(random() * count), random() * long)
        if (random() < 0.3) {
          host.election = null
          ask(Math.floor(random() * count), random() * long)
          world.start(host)
        }
      }
      world.lost = 0
      for (let round = 0; round < 2 * count; round++)
        for (let place = 0; place < count; place++) assert.ok(ask((place + round) % count, long))
      world.time.run(2 * standbyLimits.longestAnnounceMs)
      const awake = world.hosts.flatMap(({ election }, place) => (election?.isAwake ? [place] : []))
      for (const one of awake) for (const other of awake) assert.ok(one >= other || !isLinked(other, one))
      for (let place = 0; place < count; place++) assert.ok(ask(place, mailMs), `${place} of ${[...links]}`)
    }),
    {
      numRuns: 300,
      // Here the leader of a host has a leader of its own and sleeps.
      examples: [
        [{ count: 6, links: new Set(['4-5', '1-5', '2-4', '3-5', '0-1', '0-3']) }, 1],
        [{ count: 6, links: new Set(['3-5', '0-3', '2-5', '0-1', '3-4', '1-5', '0-2']) }, 1],
        [{ count: 6, links: new Set(['0-4', '0-3', '1-4', '0-2', '2-5', '4-5', '3-5']) }, 23_193_190],
      ],
    },
  )
})

test('hosts that woke together agree on the first one, whatever letters were lost before', () => {
  const world = new World(3, randomOf(7))
  world.lost = 1
  for (const { election } of world.hosts)
    election?.handleRequest(0, 'agent', '1', { key: 'agent', version: '1' }, [])
  for (const { election } of world.hosts) election?.handleTimeout(3 * answerTimeoutMs)
  assert.equal(world.awake.length, 3)
  const [first, second, third] = world.hosts.map(({ election }) => election)
  assert.deepEqual(second?.handleAnnouncement(1, 'host 0'), [{ type: 'sleep' }])
  assert.deepEqual(third?.handleAnnouncement(1, 'host 1'), [{ type: 'sleep' }])
  assert.deepEqual(first?.handleAnnouncement(1, 'host 2'), [])
  assert.deepEqual(world.awake, ['host 0'])
})

test('an announcement of a host that is not known has no effect', () => {
  const election = new StandbyElection({ self: 'b', hosts: ['c'], answerTimeoutMs })
  election.handleRequest(0, 'agent', '1', null, [])
  election.handleTimeout(answerTimeoutMs)
  assert.equal(election.isAwake, true)
  assert.deepEqual(election.handleAnnouncement(1, 'a'), [])
  assert.equal(election.isAwake, true)
})

test('an older statement does not end the wait of a request, and a repeated request does not wait longer', () => {
  const election = new StandbyElection<string>({ self: 'b', hosts: ['a'], answerTimeoutMs })
  election.handleRequest(0, 'agent', '2', 'second', [])
  election.handleAnswered('agent', '1')
  election.handleRequest(10_000, 'agent', '3', 'third', [])
  assert.equal(election.nextTimeout(), 2 * answerTimeoutMs)
  assert.deepEqual(election.handleTimeout(2 * answerTimeoutMs), [
    { type: 'wake', answer: ['third'] },
    { type: 'announce', to: 'a' },
  ])
})

test('the number of waiting requests is limited', () => {
  const election = new StandbyElection<number>({ self: 'a', hosts: ['b'], answerTimeoutMs })
  for (let number = 0; number <= standbyLimits.waiting; number++)
    election.handleRequest(number, `agent ${number}`, '1', number, [])
  const [wake] = election.handleTimeout(1e9)
  assert.ok(wake?.type === 'wake')
  assert.equal(wake.answer.length, standbyLimits.waiting)
  assert.equal(wake.answer[0], 1)
})
