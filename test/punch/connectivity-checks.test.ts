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
const publicOne = candidate('server-reflexive', '11.0.0.2:5000')
const lanOne = candidate('host', '192.168.1.3:5000')
const sixOne = candidate('server-reflexive', '[2a00::2]:5000')
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

/** What the peer says; each call with a fresh sequence. */
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

/** Lets time pass with no answer; returns when each packet went where. */
function passTime(punch: Punch, until: number) {
  const log: { at: number; to: string }[] = []
  const seen: PunchEvent[] = []
  for (let due = punch.nextTimeout(); due !== null && due <= until; due = punch.nextTimeout()) {
    const actions = punch.handleTimeout(due)
    for (const { to } of sends(actions)) log.push({ at: due, to: to.address })
    seen.push(...events(actions))
  }
  return { log, seen }
}

test('every target gets its first check at once, the LAN first', () => {
  const punch = punchTo([publicOne, sixOne, lanOne], { sameNat: true })
  assert.equal(punch.nextTimeout(), 0)
  assert.deepEqual(
    sends(punch.handleTimeout(0)).map(({ to }) => to),
    [lanOne, sixOne, publicOne].map(({ endpoint }) => endpoint),
  )
})

test('checks are quick at first, then never more than 10 s apart until the attempt ends', () => {
  const punch = punchTo([publicOne])
  const { log, seen } = passTime(punch, 200_000)
  const times = log.map(({ at: time }) => time)
  assert.deepEqual(times.slice(0, 7), [0, 200, 400, 600, 1_200, 2_400, 4_800])
  for (const [index, time] of times.entries())
    assert.ok((times[index + 1] ?? 120_000) - time < 10_000, `${time}`)
  assert.deepEqual(seen, [{ type: 'failed', reason: 'no-answer', packets: log.length }])
  assert.equal(punch.nextTimeout(), null)
})

test('with many targets a silent peer costs no more than the budget leaves beside the answers', () => {
  const many = Array.from({ length: 12 }, (_, i) => candidate('server-reflexive', `11.0.1.${i + 1}:1`))
  const { log, seen } = passTime(punchTo(many), 200_000)
  assert.ok(log.length <= 40, `${log.length}`)
  assert.equal(new Set(log.map(({ to }) => to)).size, 12)
  assert.equal(seen.at(-1)?.type, 'failed')
})

test('a confirmation of our check from where it was sent proves the path', () => {
  const punch = punchTo([publicOne])
  const [sent] = sends(punch.handleTimeout(0))
  assert.ok(sent)
  assert.deepEqual(events(punch.handleDatagram(50, confirmOf(sent.bytes), publicOne.endpoint)), [
    {
      type: 'path',
      path: {
        kind: 'direct',
        remote: publicOne.endpoint,
        local: ours,
        candidateKind: 'server-reflexive',
        via: 0,
      },
      packets: 1,
    },
  ])
})

test('a confirmation from elsewhere, of another check, or repeated proves nothing', () => {
  const punch = punchTo([publicOne, sixOne])
  const [six, four] = sends(punch.handleTimeout(0))
  assert.ok(six && four)
  const elsewhere = at('11.0.0.9:5000')
  assert.deepEqual(punch.handleDatagram(50, confirmOf(four.bytes), elsewhere), [])
  assert.deepEqual(punch.handleDatagram(50, confirmOf(six.bytes), publicOne.endpoint), [])
  const good = confirmOf(four.bytes)
  assert.equal(punch.handleDatagram(50, good, publicOne.endpoint).length, 1)
  assert.deepEqual(punch.handleDatagram(50, good, publicOne.endpoint), [])
  assert.deepEqual(punch.handleDatagram(51, confirmOf(four.bytes), publicOne.endpoint), [])
})

test('a check is confirmed to where it came from, and answered by a check the same way', () => {
  const punch = punchTo([publicOne])
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

test('a check seen before is not answered again, from wherever it is replayed', () => {
  const punch = punchTo([publicOne])
  punch.handleTimeout(0)
  const genuine = check()
  assert.equal(punch.handleDatagram(100, genuine, publicOne.endpoint).length, 2)
  assert.deepEqual(punch.handleDatagram(100, genuine, publicOne.endpoint), [])
  assert.deepEqual(punch.handleDatagram(100, genuine, at('11.0.0.7:7')), [])
})

test('a LAN path proven after a direct one replaces it, and a worse one after it does not', () => {
  const punch = punchTo([lanOne, publicOne, sixOne], { sameNat: true })
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

test('with a path it goes on answering until the peer has been quiet, then ends', () => {
  const punch = punchTo([publicOne])
  const [sent] = sends(punch.handleTimeout(0))
  assert.ok(sent)
  punch.handleDatagram(50, confirmOf(sent.bytes), publicOne.endpoint)
  assert.deepEqual(
    sends(punch.handleDatagram(19_000, check(), publicOne.endpoint)).map(({ packet }) => packet?.type),
    ['confirm'],
  )
  const { log, seen } = passTime(punch, 100_000)
  assert.deepEqual([log, seen], [[], [{ type: 'done', packets: 2 }]])
  assert.deepEqual(punch.handleDatagram(100_000, check(), publicOne.endpoint), [])
})

test('a private address of the peer is a LAN path even when the host saw two networks', () => {
  const punch = punchTo([])
  const [, back] = sends(punch.handleDatagram(10, check(), at('192.168.7.7:1')))
  assert.ok(back)
  const [event] = events(punch.handleDatagram(20, confirmOf(back.bytes), back.to))
  assert.equal(event?.type === 'path' && event.path.kind, 'lan')
})

test('candidates learned later are checked at once, known ones not again', () => {
  const punch = punchTo([publicOne])
  punch.handleTimeout(0)
  assert.deepEqual(
    sends(punch.addTargets(5_000, [sixOne, publicOne])).map(({ to }) => to.address),
    // The other's slow check is due at this time by itself.
    [sixOne.endpoint.address, publicOne.endpoint.address],
  )
  assert.deepEqual(punch.addTargets(5_001, [sixOne, publicOne]), [])
})

test('no packet goes to loopback, multicast or reserved addresses; to loopback only from loopback', () => {
  const nasty = ['127.0.0.1:1', '224.0.0.1:1', '255.255.255.255:1', '240.0.0.1:1'].map((text) =>
    candidate('server-reflexive', text),
  )
  const punch = punchTo(nasty)
  assert.deepEqual(punch.handleTimeout(0), [])
  assert.deepEqual(punch.handleDatagram(1, check(), at('127.0.0.1:1')), [])
  const inside = punchTo(nasty, { onLoopback: true })
  assert.deepEqual(
    sends(inside.handleTimeout(0)).map(({ to }) => to.address),
    ['127.0.0.1'],
  )
})

test('once stopped it neither sends nor answers', () => {
  const punch = punchTo([publicOne])
  punch.handleTimeout(0)
  punch.stop()
  assert.equal(punch.nextTimeout(), null)
  assert.deepEqual(punch.handleDatagram(1, check(), publicOne.endpoint), [])
  assert.deepEqual(punch.addTargets(1, [sixOne]), [])
  assert.deepEqual(punch.handleTimeout(500_000), [])
})

type Step = {
  readonly waitMs: number
  readonly what: 'check' | 'confirm' | 'replay' | 'mutate' | 'reflect' | 'random' | 'add'
  readonly from: Endpoint
  readonly pick: number
  readonly noise: Uint8Array
}

const places = [
  publicOne.endpoint,
  lanOne.endpoint,
  sixOne.endpoint,
  at('11.0.0.66:6'),
  at('127.0.0.1:9'),
  at('224.0.0.1:5'),
]
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    waitMs: fc.oneof(fc.nat(100), fc.nat(20_000)),
    what: fc.constantFrom('check', 'confirm', 'replay', 'mutate', 'reflect', 'random', 'add'),
    from: fc.constantFrom(...places),
    pick: fc.nat(1_000),
    noise: fc.uint8Array({ maxLength: 100 }),
  }),
  { maxLength: 150 },
)

test('whatever arrives and whenever, it never throws, never exceeds its budget, answers only the peer, and ends', () => {
  fc.assert(
    fc.property(steps, fc.nat(70), (sequenceOfSteps, budget) => {
      const punch = punchTo([publicOne, lanOne, sixOne], { budget, sameNat: true })
      const mine: Uint8Array[] = []
      const theirs: Uint8Array[] = [check()]
      let now = 0
      let sent = 0
      let ends = 0
      let paths = 0
      const take = (actions: Action<PunchEvent>[]) => {
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
      for (const { waitMs, what, from, pick, noise } of sequenceOfSteps) {
        now += waitMs
        for (let due = punch.nextTimeout(); due !== null && due <= now; due = punch.nextTimeout()) {
          take(punch.handleTimeout(due))
        }
        const own = mine[pick % Math.max(1, mine.length)]
        const old = theirs[pick % theirs.length] as Uint8Array
        if (what === 'add') take(punch.addTargets(now, [{ kind: 'server-reflexive', endpoint: from }]))
        else if (
          what === 'check' ||
          (what === 'confirm' && own && openCheck(crypto, b, own)?.type === 'check')
        ) {
          const bytes = what === 'confirm' && own ? confirmOf(own) : check()
          theirs.push(bytes)
          take(punch.handleDatagram(now, bytes, from))
        } else if (what === 'replay') take(punch.handleDatagram(now, old, from))
        else {
          const bytes =
            what === 'reflect' && own
              ? own
              : what === 'mutate'
                ? Uint8Array.from(old, (byte, index) => (index === pick % old.length ? byte ^ 0x10 : byte))
                : noise
          const actions = punch.handleDatagram(now, bytes, from)
          assert.deepEqual(actions, [], what)
        }
      }
      // The peer falls silent: within the attempt and the quiet time all is over.
      for (let due = punch.nextTimeout(); due !== null; due = punch.nextTimeout()) {
        assert.ok(due <= Math.max(120_000, now + 20_000))
        take(punch.handleTimeout(due))
      }
      assert.equal(ends, 1)
    }),
    { numRuns: 150 },
  )
})
