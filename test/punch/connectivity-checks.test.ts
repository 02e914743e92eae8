import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Candidate, type CandidateKind, type Endpoint, parseEndpoint } from '../../src/base/endpoint.ts'
import type { Action } from '../../src/base/protocol-machine.ts'
import { openCheck, sealCheck } from '../../src/punch/check-packet.ts'
import {
  createPunch,
  type Punch,
  type PunchEvent,
  type PunchOptions,
} from '../../src/punch/connectivity-checks.ts'
import { seededCrypto } from '../harness/seeded-crypto.ts'
import { pairKeys } from '../harness/simulator/world.ts'

const { a, b } = pairKeys(1)
const crypto = seededCrypto(5)
const at = (text: string): Endpoint => {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint, text)
  return endpoint
}
const candidate = (kind: CandidateKind, text: string): Candidate => ({ kind, endpoint: at(text) })
const publicCandidate = candidate('server-reflexive', '11.0.0.2:5000')
const lanCandidate = candidate('host', '192.168.1.3:5000')
const ipv6Candidate = candidate('server-reflexive', '[2a00::2]:5000')
const ours = at('11.0.0.1:4000')

function punchTo(targets: readonly Candidate[], more: Partial<PunchOptions> = {}): Punch {
  return createPunch({
    crypto: seededCrypto(3),
    keys: a,
    targets,
    budget: 60,
    sameNat: false,
    now: 0,
    ...more,
  })
}

/** Packets of the peer, each with a new sequence. */
let sequence = 1000
const check = () => sealCheck(crypto, b, { type: 'check', sequence: sequence++ })
const confirmOf = (sent: Uint8Array, observed = ours) => {
  const opened = openCheck(crypto, b, sent)
  assert.equal(opened?.type, 'check')
  return sealCheck(crypto, b, { type: 'confirm', sequence: sequence++, confirms: opened.sequence, observed })
}

const sends = (actions: readonly Action<PunchEvent>[]) =>
  actions.flatMap((action) =>
    action.type === 'send'
      ? [{ to: action.to, bytes: action.bytes, packet: openCheck(crypto, b, action.bytes) }]
      : [],
  )
const events = (actions: readonly Action<PunchEvent>[]) =>
  actions.flatMap((action) => (action.type === 'event' ? [action.event] : []))

/** Lets time pass without answers. Returns when and to where packets were sent, and the events. */
function passTime(punch: Punch, until: number) {
  const log: { at: number; to: string }[] = []
  const emitted: PunchEvent[] = []
  for (let due = punch.nextTimeout(); due !== null && due <= until; due = punch.nextTimeout()) {
    const actions = punch.handleTimeout(due)
    for (const { to } of sends(actions)) log.push({ at: due, to: to.address })
    emitted.push(...events(actions))
  }
  return { log, emitted }
}

test('every target gets its first check at once, the LAN first', () => {
  const punch = punchTo([publicCandidate, ipv6Candidate, lanCandidate], { sameNat: true })
  assert.equal(punch.nextTimeout(), 0)
  assert.deepEqual(
    sends(punch.handleTimeout(0)).map(({ to }) => to),
    [lanCandidate, ipv6Candidate, publicCandidate].map(({ endpoint }) => endpoint),
  )
})

test('checks are fast at first, then at most 10 s apart until the attempt ends', () => {
  const punch = punchTo([publicCandidate])
  const { log, emitted } = passTime(punch, 200_000)
  const times = log.map(({ at: time }) => time)
  assert.deepEqual(times.slice(0, 7), [0, 200, 400, 600, 1_200, 2_400, 4_800])
  for (const [index, time] of times.entries())
    assert.ok((times[index + 1] ?? 120_000) - time < 10_000, `${time}`)
  assert.deepEqual(emitted, [{ type: 'failed', reason: 'no-answer', packets: log.length }])
  assert.equal(punch.nextTimeout(), null)
})

test('with many targets and a silent peer, checks leave the part of the budget reserved for answers', () => {
  const many = Array.from({ length: 12 }, (_, i) => candidate('server-reflexive', `11.0.1.${i + 1}:1`))
  const { log, emitted } = passTime(punchTo(many), 200_000)
  assert.ok(log.length <= 40, `${log.length}`)
  assert.equal(new Set(log.map(({ to }) => to)).size, 12)
  assert.equal(emitted.at(-1)?.type, 'failed')
})

test('a confirmation of our check from where it was sent proves the path', () => {
  const punch = punchTo([publicCandidate])
  const [sent] = sends(punch.handleTimeout(0))
  assert.ok(sent)
  assert.deepEqual(events(punch.handleDatagram(50, confirmOf(sent.bytes), publicCandidate.endpoint)), [
    {
      type: 'path',
      path: {
        kind: 'direct',
        remote: publicCandidate.endpoint,
        local: ours,
        candidateKind: 'server-reflexive',
        via: 0,
      },
      packets: 1,
    },
  ])
})

test('a confirmation from another endpoint, of another check, or repeated proves nothing', () => {
  const punch = punchTo([publicCandidate, ipv6Candidate])
  const [six, four] = sends(punch.handleTimeout(0))
  assert.ok(six && four)
  const elsewhere = at('11.0.0.9:5000')
  assert.deepEqual(punch.handleDatagram(50, confirmOf(four.bytes), elsewhere), [])
  assert.deepEqual(punch.handleDatagram(50, confirmOf(six.bytes), publicCandidate.endpoint), [])
  const good = confirmOf(four.bytes)
  assert.equal(punch.handleDatagram(50, good, publicCandidate.endpoint).length, 1)
  assert.deepEqual(punch.handleDatagram(50, good, publicCandidate.endpoint), [])
  assert.deepEqual(punch.handleDatagram(51, confirmOf(four.bytes), publicCandidate.endpoint), [])
})

test('a check is confirmed to its source, and a triggered check goes the same way', () => {
  const punch = punchTo([publicCandidate])
  punch.handleTimeout(0)
  const unforeseen = at('11.0.0.2:6001')
  const answers = sends(punch.handleDatagram(100, check(), unforeseen))
  assert.deepEqual(
    answers.map(({ to, packet }) => [to, packet?.type]),
    [
      [unforeseen, 'confirm'],
      [unforeseen, 'check'],
    ],
  )
  const confirmation = answers[0]?.packet
  assert.deepEqual(confirmation?.type === 'confirm' && confirmation.observed, unforeseen)
  const checkBack = answers[1]
  assert.ok(checkBack)
  const [event] = events(punch.handleDatagram(150, confirmOf(checkBack.bytes), unforeseen))
  assert.ok(event?.type === 'path')
  assert.equal(event.path.candidateKind, 'peer-reflexive')
})

test('a replayed check is not answered again, whatever its source', () => {
  const punch = punchTo([publicCandidate])
  punch.handleTimeout(0)
  const genuine = check()
  assert.equal(punch.handleDatagram(100, genuine, publicCandidate.endpoint).length, 2)
  assert.deepEqual(punch.handleDatagram(100, genuine, publicCandidate.endpoint), [])
  assert.deepEqual(punch.handleDatagram(100, genuine, at('11.0.0.7:7')), [])
})

test('a LAN path proven after a direct one replaces it, and a worse one does not', () => {
  const punch = punchTo([lanCandidate, publicCandidate, ipv6Candidate], { sameNat: true })
  const [lan, six, four] = sends(punch.handleTimeout(0))
  assert.ok(lan && six && four)
  const typesOf = (sent: { bytes: Uint8Array; to: Endpoint }) =>
    events(punch.handleDatagram(50, confirmOf(sent.bytes), sent.to)).map((event) =>
      'path' in event ? [event.type, event.path.kind] : [],
    )
  assert.deepEqual(typesOf(four), [['path', 'direct']])
  assert.deepEqual(typesOf(lan), [['better-path', 'lan']])
  assert.deepEqual(typesOf(six), [])
})

test('after a path it answers until the peer has been silent for a while, then ends', () => {
  const punch = punchTo([publicCandidate])
  const [sent] = sends(punch.handleTimeout(0))
  assert.ok(sent)
  punch.handleDatagram(50, confirmOf(sent.bytes), publicCandidate.endpoint)
  assert.deepEqual(
    sends(punch.handleDatagram(19_000, check(), publicCandidate.endpoint)).map(({ packet }) => packet?.type),
    ['confirm'],
  )
  const { log, emitted } = passTime(punch, 100_000)
  assert.deepEqual([log, emitted], [[], [{ type: 'done', packets: 2 }]])
  assert.deepEqual(punch.handleDatagram(100_000, check(), publicCandidate.endpoint), [])
})

test('a private address of the peer makes a LAN path even when the host saw two networks', () => {
  const punch = punchTo([])
  const [, back] = sends(punch.handleDatagram(10, check(), at('192.168.7.7:1')))
  assert.ok(back)
  const [event] = events(punch.handleDatagram(20, confirmOf(back.bytes), back.to))
  assert.equal(event?.type === 'path' && event.path.kind, 'lan')
})

test('candidates learned later are checked at once, and known ones not again', () => {
  const punch = punchTo([publicCandidate])
  punch.handleTimeout(0)
  assert.deepEqual(
    sends(punch.addTargets(5_000, [ipv6Candidate, publicCandidate])).map(({ to }) => to.address),
    // The slow check to the other target is due at this time too.
    [ipv6Candidate.endpoint.address, publicCandidate.endpoint.address],
  )
  assert.deepEqual(punch.addTargets(5_001, [ipv6Candidate, publicCandidate]), [])
})

test('no packet goes to multicast or reserved addresses, and to loopback only from loopback', () => {
  const unusable = ['127.0.0.1:1', '224.0.0.1:1', '255.255.255.255:1', '240.0.0.1:1'].map((text) =>
    candidate('server-reflexive', text),
  )
  const punch = punchTo(unusable)
  assert.deepEqual(punch.handleTimeout(0), [])
  assert.deepEqual(punch.handleDatagram(1, check(), at('127.0.0.1:1')), [])
  const inside = punchTo(unusable, { onLoopback: true })
  assert.deepEqual(
    sends(inside.handleTimeout(0)).map(({ to }) => to.address),
    ['127.0.0.1'],
  )
})

test('after stop it neither sends nor answers', () => {
  const punch = punchTo([publicCandidate])
  punch.handleTimeout(0)
  punch.stop()
  assert.equal(punch.nextTimeout(), null)
  assert.deepEqual(punch.handleDatagram(1, check(), publicCandidate.endpoint), [])
  assert.deepEqual(punch.addTargets(1, [ipv6Candidate]), [])
  assert.deepEqual(punch.handleTimeout(500_000), [])
})

type Step = {
  readonly waitMs: number
  readonly action: 'check' | 'confirm' | 'replay' | 'mutate' | 'reflect' | 'random' | 'add'
  readonly from: Endpoint
  readonly pick: number
  readonly noise: Uint8Array
}

const endpoints = [
  publicCandidate.endpoint,
  lanCandidate.endpoint,
  ipv6Candidate.endpoint,
  at('11.0.0.66:6'),
  at('127.0.0.1:9'),
  at('224.0.0.1:5'),
]
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    waitMs: fc.oneof(fc.nat(100), fc.nat(20_000)),
    action: fc.constantFrom('check', 'confirm', 'replay', 'mutate', 'reflect', 'random', 'add'),
    from: fc.constantFrom(...endpoints),
    pick: fc.nat(1_000),
    noise: fc.uint8Array({ maxLength: 100 }),
  }),
  { maxLength: 150 },
)

test('on any input it never throws, never exceeds its budget, answers only the peer, and ends', () => {
  fc.assert(
    fc.property(steps, fc.nat(70), (sequenceOfSteps, budget) => {
      const punch = punchTo([publicCandidate, lanCandidate, ipv6Candidate], { budget, sameNat: true })
      const mine: Uint8Array[] = []
      const theirs: Uint8Array[] = [check()]
      let now = 0
      let sent = 0
      let ends = 0
      let paths = 0
      const perform = (actions: Action<PunchEvent>[]) => {
        for (const { bytes, to } of sends(actions)) {
          sent++
          mine.push(bytes)
          assert.ok(!to.address.startsWith('127.') && !to.address.startsWith('224.'))
        }
        for (const event of events(actions)) {
          if (event.type === 'path') paths++
          if (event.type === 'failed' || event.type === 'done') ends++
        }
        assert.ok(sent <= budget && punch.packets === sent && ends <= 1 && paths <= 1)
      }
      for (const { waitMs, action, from, pick, noise } of sequenceOfSteps) {
        now += waitMs
        for (let due = punch.nextTimeout(); due !== null && due <= now; due = punch.nextTimeout()) {
          perform(punch.handleTimeout(due))
        }
        const own = mine[pick % Math.max(1, mine.length)]
        const old = theirs[pick % theirs.length] as Uint8Array
        if (action === 'add') perform(punch.addTargets(now, [{ kind: 'server-reflexive', endpoint: from }]))
        else if (
          action === 'check' ||
          (action === 'confirm' && own && openCheck(crypto, b, own)?.type === 'check')
        ) {
          const bytes = action === 'confirm' && own ? confirmOf(own) : check()
          theirs.push(bytes)
          perform(punch.handleDatagram(now, bytes, from))
        } else if (action === 'replay') perform(punch.handleDatagram(now, old, from))
        else {
          const bytes =
            action === 'reflect' && own
              ? own
              : action === 'mutate'
                ? Uint8Array.from(old, (byte, index) => (index === pick % old.length ? byte ^ 0x10 : byte))
                : noise
          const actions = punch.handleDatagram(now, bytes, from)
          assert.deepEqual(actions, [], action)
        }
      }
      // From here on the peer is silent: the attempt and the quiet time must end.
      for (let due = punch.nextTimeout(); due !== null; due = punch.nextTimeout()) {
        assert.ok(due <= Math.max(120_000, now + 20_000))
        perform(punch.handleTimeout(due))
      }
      assert.equal(ends, 1)
    }),
    { numRuns: 150 },
  )
})
