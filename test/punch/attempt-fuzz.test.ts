// An attempt of any strategy keeps its budget and pace, closes its sockets and ends, whatever input it gets.

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
  .map(([packet, other, step]) => ({ first: Math.min(packet, other), last: Math.max(packet, other), step }))
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
  readonly action: 'check' | 'confirm' | 'sample' | 'noise' | 'signal' | 'pairs' | 'no-socket' | 'nothing'
  readonly pick: number
  readonly noise: Uint8Array
  readonly signal: Signal
}
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    waitMs: fc.oneof(fc.nat(100), fc.nat(5_000), fc.nat(60_000)),
    action: fc.constantFrom<Step['action'][]>(
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
  /** How STUN servers behave: the share of requests answered, and the share of false answers. */
  answers: fc.constantFrom(0, 0.5, 1),
  falseAnswers: fc.constantFrom(0, 0, 0.3),
  hasServers: fc.boolean(),
  seed: fc.nat(100_000),
  steps,
})

/** A NAT's counter as samples see it, and checks of everything that an owner of the machine sees. */
class Owner {
  readonly open = new Set<Via>()
  readonly closed = new Set<Via>()
  /** When the first packet from a socket to an endpoint was sent: a new mapping of the strictest NAT. */
  readonly newAt: number[] = []
  readonly #known = new Set<string>()
  readonly sent: { bytes: Uint8Array; to: Endpoint; via: Via }[] = []
  readonly signals: Signal[] = []
  path: { readonly remote: Endpoint; readonly via: Via } | null = null
  ends = 0
  counter = 30_000

  perform(now: number, actions: readonly Action<AttemptEvent>[]): void {
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
    const key = `${via} ${to.address} ${to.port}`
    if (!this.#known.has(key)) this.newAt.push(now)
    this.#known.add(key)
  }

  #emit(event: AttemptEvent): void {
    if (event.type === 'signal') {
      assert.ok(event.signal.round < signalLimits.rounds)
      this.signals.push(event.signal)
    } else if (event.type === 'failed' || event.type === 'done') this.ends++
    else this.path = event.path
  }

  /** At most 200 new mappings in any second, plus one burst of the pacing and the direct checks. */
  assertPace(): void {
    for (let first = 0, last = 0; last < this.newAt.length; last++) {
      while ((this.newAt[last] as number) - (this.newAt[first] as number) >= 1_000) first++
      assert.ok(last - first + 1 <= 200 + 20 + 16, `${last - first + 1} new mappings in a second`)
    }
  }
}

let sequence = 1
test('an attempt keeps its budget and pace, closes every socket and ends, whatever the peer and the servers do', () => {
  const strategies = new Set<string>()
  fc.assert(
    fc.property(attemptCases, (attemptCase) => {
      const { mine, theirs, sameNat, role, mailMs, answers, falseAnswers, hasServers, seed } = attemptCase
      const chosenPlan = plan(
        { nat: mine, candidates: [{ kind: 'server-reflexive', endpoint: ours }] },
        { nat: theirs, candidates: [{ kind: 'server-reflexive', endpoint: peer }], sameNat },
      )
      if (chosenPlan.strategy === 'none') return
      strategies.add(chosenPlan.strategy)
      const random = seededRandom(seed)
      const attempt = createAttempt({
        crypto: seededCrypto(seed),
        keys: a,
        plan: chosenPlan,
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
      const perform = (actions: readonly Action<AttemptEvent>[]) => {
        owner.perform(now, actions)
        assert.equal(attempt.packets, owner.sent.length)
        assert.ok(attempt.packets <= chosenPlan.budget, `${attempt.packets} of ${chosenPlan.budget}`)
      }
      /** Answers the STUN requests sent since `from`. */
      const answer = (from: number) => {
        for (const { bytes, to, via } of owner.sent.slice(from)) {
          if (via === 0 || !isStun(bytes) || random() >= answers) continue
          const { transactionId } = (decodeStun(bytes) as { message: { transactionId: Uint8Array } }).message
          const mapped = {
            ...ours,
            port: random() < falseAnswers ? 1 + Math.floor(random() * 65_000) : ++owner.counter,
          }
          const reply =
            random() < 0.1 ? encodeError(transactionId, 420) : encodeSuccess({ transactionId, mapped })
          perform(attempt.handleDatagram(now, reply, to, via))
        }
      }
      const passTime = (until: number) => {
        for (let due = attempt.nextTimeout(); due !== null && due <= until; due = attempt.nextTimeout()) {
          assert.ok(due >= now || now === 0, 'time does not run backwards')
          now = Math.max(now, due)
          const before = owner.sent.length
          perform(attempt.handleTimeout(now))
          answer(before)
        }
        now = Math.max(now, until)
      }
      for (const { waitMs, action, pick, noise, signal } of attemptCase.steps) {
        passTime(now + waitMs)
        // The main socket, which every peer can reach, gets fewer packets than its share.
        const fromExtraSockets = owner.sent.filter(({ via }) => owner.open.has(via))
        const choices = pick % 8 > 0 ? fromExtraSockets : owner.sent
        const packet = choices[pick % Math.max(1, choices.length)]
        const via = packet?.via ?? 0
        const from = packet && !isStun(packet.bytes) && pick % 3 > 0 ? packet.to : peer
        const before = owner.sent.length
        if (action === 'signal') perform(attempt.handleSignal(now, signal))
        else if (action === 'pairs') {
          const announced = owner.signals.findLast(({ type }) => type === 'targets')
          if (announced?.type !== 'targets') continue
          const pairs = announced.ports.map((yours) => ({ mine: 1 + (pick % 60_000), yours }))
          perform(
            attempt.handleSignal(now, {
              type: 'pairs',
              round: announced.round,
              address: peer.address,
              pairs,
            }),
          )
        } else if (action === 'no-socket') {
          const [failed] = owner.open
          if (failed === undefined || failed === owner.path?.via) continue
          owner.open.delete(failed)
          owner.closed.add(failed)
          perform(attempt.handleSocketFailure(now, failed))
        } else if (action === 'noise') perform(attempt.handleDatagram(now, noise, from, via))
        else if (action === 'check' || action === 'confirm') {
          const opened = packet && openCheck(crypto, b, packet.bytes)
          const reply =
            action === 'confirm' && opened?.type === 'check'
              ? ({
                  type: 'confirm',
                  sequence: sequence++,
                  confirms: opened.sequence,
                  observed: ours,
                } as const)
              : ({ type: 'check', sequence: sequence++ } as const)
          perform(attempt.handleDatagram(now, sealCheck(crypto, b, reply), from, via))
        }
        answer(before)
      }
      // From here on the peer is silent.
      const end = Math.max(chosenPlan.attemptMs, now + 20_000)
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

test('a stopped attempt neither sends nor emits anything', () => {
  fc.assert(
    fc.property(profiles, profiles, fc.nat(60_000), signals, (mine, theirs, stopAt, signal) => {
      const chosenPlan = plan(
        { nat: mine, candidates: [{ kind: 'server-reflexive', endpoint: ours }] },
        { nat: theirs, candidates: [{ kind: 'server-reflexive', endpoint: peer }], sameNat: false },
      )
      if (chosenPlan.strategy === 'none') return
      const attempt = createAttempt({
        crypto: seededCrypto(1),
        keys: a,
        plan: chosenPlan,
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
