// Whatever arrives and whenever: an attempt of any strategy keeps to its budget and its pace, closes its sockets and
// comes to an end.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Endpoint, parseEndpoint } from '../../src/base/endpoint.ts'
import type { Allocation, Filtering, Mapping, NatProfile } from '../../src/base/nat-profile.ts'
import type { Action, Via } from '../../src/base/protocol-machine.ts'
import { type PortRange, type Signal, signalLimits } from '../../src/base/signaling-message.ts'
import { decodeStun, encodeError, encodeSuccess, isStun } from '../../src/nat/stun-message.ts'
import { openCheck, sealCheck } from '../../src/punch/check-packet.ts'
import { type AttemptEvent, createAttempt } from '../../src/punch/punch-attempt.ts'
import { plan } from '../../src/punch/punch-plan.ts'
import { seededCrypto, seededRandom } from '../harness/seeded-crypto.ts'
import { pairKeys } from '../harness/simulator/world.ts'

const { a, b } = pairKeys(1)
const crypto = seededCrypto(5)
const at = (text: string): Endpoint => {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint, text)
  return endpoint
}
const servers = [at('11.0.9.1:3478'), at('11.0.9.2:3478')]
const peer = at('11.0.0.2:5000')
const ours = at('11.0.0.1:4000')

const mappings: Mapping[] = ['EIM', 'ADM', 'APDM', 'APDM']
const filterings: Filtering[] = ['ADF', 'APDF', 'APDF', 'unknown']
const allocations: Allocation[] = [
  { type: 'unknown' },
  { type: 'random' },
  { type: 'random', block: { first: 2048, last: 2303 } },
  { type: 'sequential', step: 1 },
  { type: 'sequential', step: -5 },
]
const profiles: fc.Arbitrary<NatProfile> = fc.record({
  mapping: fc.constantFrom(...mappings),
  filtering: fc.constantFrom(...filterings),
  allocation: fc.constantFrom(...allocations),
})

const port = fc.integer({ min: 1, max: 65535 })
const round = fc.nat(signalLimits.rounds - 1)
const address = fc.constantFrom(peer.address, '11.0.0.77', '192.168.0.1', '127.0.0.1', '224.0.0.1', '2a00::1')
const range: fc.Arbitrary<PortRange> = fc
  .tuple(port, port, fc.integer({ min: 1, max: 65535 }))
  .map(([one, other, step]) => ({ first: Math.min(one, other), last: Math.max(one, other), step }))
const startAt = fc.oneof(fc.nat(8_640_000_000_000_000), fc.integer({ min: 999_000, max: 1_100_000 }))
const signals: fc.Arbitrary<Signal> = fc.oneof(
  fc.record({
    type: fc.constant('ports' as const),
    round,
    address,
    towards: fc.constant(ours),
    ranges: fc.array(
      fc.oneof(
        range,
        port.map((first): PortRange => ({ first, last: first, step: 1 })),
      ),
      {
        maxLength: signalLimits.ranges,
      },
    ),
  }),
  fc.record({
    type: fc.constant('targets' as const),
    round,
    address,
    ports: fc.array(port, { maxLength: signalLimits.targets }),
  }),
  fc.record({
    type: fc.constant('pairs' as const),
    round,
    address,
    pairs: fc.array(fc.record({ mine: port, yours: port }), { maxLength: signalLimits.pairs }),
  }),
  fc.record({ type: fc.constant('search' as const), round, startAt }),
)

type Step = {
  readonly waitMs: number
  readonly what: 'check' | 'confirm' | 'sample' | 'noise' | 'signal' | 'pairs' | 'no-socket' | 'nothing'
  readonly pick: number
  readonly noise: Uint8Array
  readonly signal: Signal
}
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    waitMs: fc.oneof(fc.nat(100), fc.nat(5_000), fc.nat(60_000)),
    what: fc.constantFrom<Step['what'][]>(
      'check',
      'confirm',
      'sample',
      'noise',
      'signal',
      'pairs',
      'no-socket',
      'nothing',
    ),
    pick: fc.nat(100_000),
    noise: fc.uint8Array({ maxLength: 100 }),
    signal: signals,
  }),
  { maxLength: 40, size: 'max' },
)

const attemptCases = fc.record({
  mine: profiles,
  theirs: profiles,
  sameNat: fc.boolean(),
  role: fc.constantFrom('opener' as const, 'responder' as const),
  mailMs: fc.constantFrom(null, 300, 2_000, 60_000),
  /** How STUN servers behave: by part of the questions answered, and part of the answers that lie. */
  answers: fc.constantFrom(0, 0.5, 1),
  lies: fc.constantFrom(0, 0, 0.3),
  hasServers: fc.boolean(),
  seed: fc.nat(100_000),
  steps,
})

/** A NAT's counter as samples see it, and everything an owner of the machine can check. */
class Owner {
  readonly open = new Set<Via>()
  readonly closed = new Set<Via>()
  /** When first packets of a socket to a place went out: new mappings of the strictest NAT. */
  readonly newAt: number[] = []
  readonly #known = new Set<string>()
  readonly sent: { bytes: Uint8Array; to: Endpoint; via: Via }[] = []
  readonly told: Signal[] = []
  path: { readonly remote: Endpoint; readonly via: Via } | null = null
  ends = 0
  counter = 30_000

  take(now: number, actions: readonly Action<AttemptEvent>[]): void {
    for (const action of actions) {
      if (action.type === 'close') {
        assert.ok(this.open.delete(action.via), 'closes what is open')
        this.closed.add(action.via)
      } else if (action.type === 'send') this.#send(now, action.bytes, action.to, action.via ?? 0)
      else this.#emit(action.event)
    }
  }

  #send(now: number, bytes: Uint8Array, to: Endpoint, via: Via): void {
    assert.equal(this.ends, 0, 'nothing is sent after the end')
    assert.ok(!this.closed.has(via), 'no number is used again')
    assert.ok(!/^(127|224|2a00)/.test(to.address), to.address)
    if (via !== 0) this.open.add(via)
    this.sent.push({ bytes, to, via })
    const place = `${via} ${to.address} ${to.port}`
    if (!this.#known.has(place)) this.newAt.push(now)
    this.#known.add(place)
  }

  #emit(event: AttemptEvent): void {
    if (event.type === 'signal') {
      assert.ok(event.signal.round < signalLimits.rounds)
      this.told.push(event.signal)
    } else if (event.type === 'failed' || event.type === 'done') this.ends++
    else this.path = event.path
  }

  /** At most 200 in any second, and one burst of the pacing and the direct checks. */
  assertPace(): void {
    for (let first = 0, last = 0; last < this.newAt.length; last++) {
      while ((this.newAt[last] as number) - (this.newAt[first] as number) >= 1_000) first++
      assert.ok(last - first + 1 <= 200 + 20 + 16, `${last - first + 1} new mappings in a second`)
    }
  }
}

let sequence = 1
test('an attempt keeps to budget and pace, closes every socket and ends, whatever the peer and the servers do', () => {
  const strategies = new Set<string>()
  fc.assert(
    fc.property(attemptCases, (attemptCase) => {
      const { mine, theirs, sameNat, role, mailMs, answers, lies, hasServers, seed } = attemptCase
      const decided = plan(
        { nat: mine, candidates: [{ kind: 'server-reflexive', endpoint: ours }] },
        { nat: theirs, candidates: [{ kind: 'server-reflexive', endpoint: peer }], sameNat },
      )
      if (decided.strategy === 'none') return
      strategies.add(decided.strategy)
      const random = seededRandom(seed)
      const attempt = createAttempt({
        crypto: seededCrypto(seed),
        keys: a,
        plan: decided,
        sameNat,
        now: 0,
        role,
        servers: hasServers ? servers : [],
        publicEndpoints: [ours],
        wallNow: 1_000_000,
        mailMs,
        random,
      })
      const owner = new Owner()
      let now = 0
      const take = (actions: readonly Action<AttemptEvent>[]) => {
        owner.take(now, actions)
        assert.equal(attempt.packets, owner.sent.length)
        assert.ok(attempt.packets <= decided.budget, `${attempt.packets} of ${decided.budget}`)
      }
      /** Answers what was asked of STUN servers since `from`. */
      const answer = (from: number) => {
        for (const { bytes, to, via } of owner.sent.slice(from)) {
          if (via === 0 || !isStun(bytes) || random() >= answers) continue
          const { transactionId } = (decodeStun(bytes) as { message: { transactionId: Uint8Array } }).message
          const mapped = {
            ...ours,
            port: random() < lies ? 1 + Math.floor(random() * 65_000) : ++owner.counter,
          }
          const reply =
            random() < 0.1 ? encodeError(transactionId, 420) : encodeSuccess({ transactionId, mapped })
          take(attempt.handleDatagram(now, reply, to, via))
        }
      }
      const passTime = (until: number) => {
        for (let due = attempt.nextTimeout(); due !== null && due <= until; due = attempt.nextTimeout()) {
          assert.ok(due >= now || now === 0, 'time does not run backwards')
          now = Math.max(now, due)
          const before = owner.sent.length
          take(attempt.handleTimeout(now))
          answer(before)
        }
        now = Math.max(now, until)
      }
      for (const { waitMs, what, pick, noise, signal } of attemptCase.steps) {
        passTime(now + waitMs)
        // The main socket, where it is easy to be found, gets less than its share.
        const byExtra = owner.sent.filter(({ via }) => owner.open.has(via))
        const among = pick % 8 > 0 ? byExtra : owner.sent
        const one = among[pick % Math.max(1, among.length)]
        const via = one?.via ?? 0
        const from = one && !isStun(one.bytes) && pick % 3 > 0 ? one.to : peer
        const before = owner.sent.length
        if (what === 'signal') take(attempt.handleSignal(now, signal))
        else if (what === 'pairs') {
          const named = owner.told.findLast(({ type }) => type === 'targets')
          if (named?.type !== 'targets') continue
          const pairs = named.ports.map((yours) => ({ mine: 1 + (pick % 60_000), yours }))
          take(attempt.handleSignal(now, { type: 'pairs', round: named.round, address: peer.address, pairs }))
        } else if (what === 'no-socket') {
          const [some] = owner.open
          if (some === undefined || some === owner.path?.via) continue
          owner.open.delete(some)
          owner.closed.add(some)
          take(attempt.handleSocketFailure(now, some))
        } else if (what === 'noise') take(attempt.handleDatagram(now, noise, from, via))
        else if (what === 'check' || what === 'confirm') {
          const asked = one && openCheck(crypto, b, one.bytes)
          const packet =
            what === 'confirm' && asked?.type === 'check'
              ? ({ type: 'confirm', sequence: sequence++, confirms: asked.sequence, observed: ours } as const)
              : ({ type: 'check', sequence: sequence++ } as const)
          take(attempt.handleDatagram(now, sealCheck(crypto, b, packet), from, via))
        }
        answer(before)
      }
      // Nobody speaks any more.
      const end = Math.max(decided.attemptMs, now + 20_000)
      passTime(end)
      assert.equal(owner.ends, 1)
      assert.equal(attempt.nextTimeout(), null)
      assert.deepEqual([...owner.open], owner.path && owner.path.via !== 0 ? [owner.path.via] : [])
      assert.deepEqual(
        attempt.handleDatagram(now, sealCheck(crypto, b, { type: 'check', sequence }), peer),
        [],
      )
      owner.assertPace()
    }),
    { numRuns: 1_500 },
  )
  assert.ok(strategies.size >= 7, [...strategies].join())
})

test('once stopped an attempt neither sends nor tells, whatever it was doing', () => {
  fc.assert(
    fc.property(profiles, profiles, fc.nat(60_000), signals, (mine, theirs, stopAt, signal) => {
      const decided = plan(
        { nat: mine, candidates: [{ kind: 'server-reflexive', endpoint: ours }] },
        { nat: theirs, candidates: [{ kind: 'server-reflexive', endpoint: peer }], sameNat: false },
      )
      if (decided.strategy === 'none') return
      const attempt = createAttempt({
        crypto: seededCrypto(1),
        keys: a,
        plan: decided,
        sameNat: false,
        now: 0,
        role: 'opener',
        servers,
        wallNow: 1_000_000,
        mailMs: 2_000,
        random: seededRandom(1),
      })
      for (let due = attempt.nextTimeout(); due !== null && due <= stopAt; due = attempt.nextTimeout()) {
        attempt.handleTimeout(due)
      }
      attempt.stop()
      assert.equal(attempt.nextTimeout(), null)
      assert.deepEqual(attempt.handleTimeout(stopAt + 1), [])
      assert.deepEqual(attempt.handleSignal(stopAt + 1, signal), [])
      assert.deepEqual(attempt.handleSocketFailure(stopAt + 1, 1), [])
      assert.deepEqual(attempt.addTargets(stopAt + 1, []), [])
    }),
    { numRuns: 100 },
  )
})
