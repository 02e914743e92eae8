// Hosts that stand in for each other, under loss, delay, death and return: every request is answered in time, and at
// rest exactly one of those alive is awake.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type StandbyAction, StandbyElection, standingLimits } from '../../src/sync/standby-election.ts'
import { SimulatedTime } from '../harness/simulator/simulated-time.ts'

const patienceMs = 15_000
const askAgainMs = 60_000
const mailMs = 4_000
const tellAfterMs = 2_000

type Asked = { readonly key: string; readonly version: string }
/** Of two places, the lower first. */
type Links = (first: number, second: number) => boolean
type Host = {
  readonly id: string
  standing: StandbyElection<Asked> | null
  readonly told: Map<string, string>
}

/** Hosts and agents around a mail system that loses letters while it is told to. */
class Village {
  readonly time = new SimulatedTime()
  readonly hosts: Host[]
  readonly #random: () => number
  lost = 0
  /** By agent, the latest version that some host has answered. */
  readonly answered = new Map<string, string>()
  replies = 0
  readonly #isLinked: Links

  /** `isLinked`: which hosts know each other; all, if left out. */
  constructor(count: number, random: () => number, isLinked: Links = () => true) {
    this.#random = random
    this.#isLinked = isLinked
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
    const hosts = this.#knownTo(host).map(({ id }) => id)
    host.standing = new StandbyElection({ self: host.id, hosts, patienceMs })
  }

  /** One request, to a host and all that it knows, as its invite names them. */
  ask(asked: Asked, inviter: Host = this.hosts[0] as Host): void {
    const all = [inviter, ...this.#knownTo(inviter)]
    for (const host of all) {
      const others = all.filter((other) => other !== host && this.#knownTo(host).includes(other))
      this.#mail(() => {
        // Another host's letter may overtake the agent's.
        if (host.standing?.isAwake === false && (host.told.get(asked.key) ?? '') >= asked.version) return
        const isHeld = host.standing?.handleRequest(
          ...([this.time.now(), asked.key, asked.version, asked, others.map(({ id }) => id)] as const),
        )
        if (isHeld === false) this.#answer(host, asked)
        this.#arm(host)
      })
    }
  }

  #answer(host: Host, { key, version }: Asked): void {
    this.replies++
    if (version > (this.answered.get(key) ?? '')) this.answered.set(key, version)
    this.#tell(host, { key, version })
  }

  /** What is news to a host it tells on. */
  #tell(host: Host, { key, version }: Asked): void {
    for (const other of this.#knownTo(host)) {
      this.time.after(tellAfterMs, () => {
        if (!host.standing) return
        this.#mail(() => {
          const isNews = other.standing !== null && version > (other.told.get(key) ?? '')
          other.standing?.handleTold(key, version)
          if (!isNews) return
          other.told.set(key, version)
          this.#tell(other, { key, version })
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

/** A tree over places in any order, which a chain is one of, and some links more. */
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

test('in a chain of hosts, and whatever else hangs together, no two that know each other are awake at rest, and nobody waits for an answer', () => {
  fc.assert(
    fc.property(shapes, seeds, ({ count, links }, seed) => {
      const random = randomOf(seed)
      const isLinked: Links = (first, second) => links.has(`${first}-${second}`)
      const village = new Village(count, random, isLinked)
      let number = 0
      const ask = (place: number, withinMs: number): boolean => {
        const asked = { key: `agent ${place}`, version: String(++number).padStart(8, '0') }
        village.ask(asked, village.hosts[place])
        village.time.run(withinMs)
        return village.answered.get(asked.key) === asked.version
      }
      const long = 2 * count * patienceMs
      village.lost = random() / 2
      for (const host of village.hosts) {
        ask(Math.floor(random() * count), random() * long)
        if (random() < 0.3) {
          host.standing = null
          ask(Math.floor(random() * count), random() * long)
          village.start(host)
        }
      }
      village.lost = 0
      for (let round = 0; round < 2 * count; round++)
        for (let place = 0; place < count; place++) assert.ok(ask((place + round) % count, long))
      village.time.run(2 * standingLimits.longestAnnounceMs)
      const awake = village.hosts.flatMap(({ standing }, place) => (standing?.isAwake ? [place] : []))
      for (const one of awake) for (const other of awake) assert.ok(one >= other || !isLinked(other, one))
      for (let place = 0; place < count; place++) assert.ok(ask(place, mailMs), `${place} of ${[...links]}`)
    }),
    {
      numRuns: 300,
      // What a host took for its leader had one of its own by then, and slept.
      examples: [
        [{ count: 6, links: new Set(['4-5', '1-5', '2-4', '3-5', '0-1', '0-3']) }, 1],
        [{ count: 6, links: new Set(['3-5', '0-3', '2-5', '0-1', '3-4', '1-5', '0-2']) }, 1],
        [{ count: 6, links: new Set(['0-4', '0-3', '1-4', '0-2', '2-5', '4-5', '3-5']) }, 23_193_190],
      ],
    },
  )
})

test('hosts that woke at once agree on the one that comes first, whatever was lost before', () => {
  const village = new Village(3, randomOf(7))
  village.lost = 1
  for (const { standing } of village.hosts)
    standing?.handleRequest(0, 'agent', '1', { key: 'agent', version: '1' }, [])
  for (const { standing } of village.hosts) standing?.handleTimeout(3 * patienceMs)
  assert.equal(village.awake.length, 3)
  const [first, second, third] = village.hosts.map(({ standing }) => standing)
  assert.deepEqual(second?.handleAnnouncement(1, 'host 0'), [{ type: 'sleep' }])
  assert.deepEqual(third?.handleAnnouncement(1, 'host 1'), [{ type: 'sleep' }])
  assert.deepEqual(first?.handleAnnouncement(1, 'host 2'), [])
  assert.deepEqual(village.awake, ['host 0'])
})

test('an announcement of a host that is not known has no effect', () => {
  const standing = new StandbyElection({ self: 'b', hosts: ['c'], patienceMs })
  standing.handleRequest(0, 'agent', '1', null, [])
  standing.handleTimeout(patienceMs)
  assert.equal(standing.isAwake, true)
  assert.deepEqual(standing.handleAnnouncement(1, 'a'), [])
  assert.equal(standing.isAwake, true)
})

test('a request that an older statement tells of still waits, and whoever asks again is not put off', () => {
  const standing = new StandbyElection<string>({ self: 'b', hosts: ['a'], patienceMs })
  standing.handleRequest(0, 'agent', '2', 'second', [])
  standing.handleTold('agent', '1')
  standing.handleRequest(10_000, 'agent', '3', 'third', [])
  assert.equal(standing.nextTimeout(), 2 * patienceMs)
  assert.deepEqual(standing.handleTimeout(2 * patienceMs), [
    { type: 'wake', answer: ['third'] },
    { type: 'announce', to: 'a' },
  ])
})

test('so many requests wait and no more', () => {
  const standing = new StandbyElection<number>({ self: 'a', hosts: ['b'], patienceMs })
  for (let number = 0; number <= standingLimits.waiting; number++)
    standing.handleRequest(number, `agent ${number}`, '1', number, [])
  const [wake] = standing.handleTimeout(1e9)
  assert.ok(wake?.type === 'wake')
  assert.equal(wake.answer.length, standingLimits.waiting)
  assert.equal(wake.answer[0], 1)
})
