// A link detects silence, finds other paths, and follows a peer that moves; on virtual time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { utf8 } from '../../src/base/bytes.ts'
import { type Endpoint, equalEndpoints } from '../../src/base/endpoint.ts'
import { challengeRate } from '../../src/link/path-challenges.ts'
import { endpoints, otherSide, type Side, type Wire, wireBetween } from './wire.ts'

const sides: readonly Side[] = ['opener', 'responder']
const elsewhere: Endpoint = { address: '198.51.100.7', port: 7001 }
const lan: Endpoint = { address: '192.168.1.7', port: 7007 }

/** A datagram from each side every 50 ms. */
function play(wire: Wire, ms: number, senders: readonly Side[] = sides): void {
  for (let spent = 0; spent < ms; spent += 50) {
    for (const side of senders) if (wire.links[side].state === 'open') wire.send(side, utf8('a move'))
    wire.runFor(50)
  }
}

function openWire(seed: number, ...more: [] | [Parameters<typeof wireBetween>[1]]): Wire {
  const wire = wireBetween(seed, ...more)
  wire.runFor(10_000)
  return wire
}

/** From now on the opener is reachable only at `home` and sends from there. The responder stays. */
function moveOpener(wire: Wire, home: Endpoint): void {
  wire.routing = (side, to) => {
    if (side === 'opener') return equalEndpoints(to, endpoints.responder) ? home : null
    return equalEndpoints(to, home) ? endpoints.responder : null
  }
}

for (const senders of [sides, ['opener'], ['responder']] as const) {
  test(`while ${senders.join(' and ')} sends, both sides report a silent path within 3 s, and its return at once`, () => {
    const wire = openWire(1)
    play(wire, 5_000, senders)
    const cutAt = wire.now
    wire.conditions = { loss: 1 }
    play(wire, 3_000, senders)
    for (const side of sides) {
      const [at] = wire.timesOf(side, 'disturbed')
      assert.ok(at !== undefined && at - cutAt >= 1_500 && at - cutAt <= 3_000, `${side}: ${at}`)
      assert.ok(wire.links[side].isDisturbed)
    }
    wire.conditions = {}
    const backAt = wire.now
    play(wire, 5_000, senders)
    for (const side of sides) {
      assert.equal(wire.timesOf(side, 'disturbed').length, 1)
      const recovered = wire.timesOf(side, 'recovered')
      assert.equal(recovered.length, 1)
      assert.ok((recovered[0] as number) - backAt <= 400)
      assert.equal(wire.links[side].state, 'open')
    }
  })
}

test('an idle link sends only a ping and an answer per keepalive, and suspects its path within a keepalive and 2 s', () => {
  const wire = openWire(2)
  const before = wire.sent.length
  wire.runFor(80_000)
  assert.ok(wire.sent.length - before <= 4 * 10 + 4, `${wire.sent.length - before} packets in 80 s`)
  const cutAt = wire.now
  wire.conditions = { loss: 1 }
  wire.runFor(10_000)
  for (const side of sides) assert.ok((wire.timesOf(side, 'disturbed')[0] ?? Infinity) - cutAt <= 10_000)
})

test('a link on which only one side sends costs one ping a second', () => {
  const wire = openWire(3)
  play(wire, 1_000, ['opener'])
  const before = wire.sent.filter(({ bytes }) => bytes.length === 38).length
  play(wire, 20_000, ['opener'])
  const pings = wire.sent.filter(({ bytes }) => bytes.length === 38).length - before
  assert.ok(pings <= 2 * (20 + 3 + 3), `${pings} pings and answers`)
})

test('a loss of 5 % disturbs no link within an hour, and a loss of 50 % ends none', () => {
  const fair = openWire(4, { loss: 0.05, delayMs: [20, 200] })
  fair.runFor(3_600_000)
  for (const side of sides) assert.deepEqual(fair.timesOf(side, 'disturbed'), [])
  const bad = openWire(5)
  bad.conditions = { loss: 0.5 }
  play(bad, 120_000)
  for (const side of sides) assert.equal(bad.links[side].state, 'open')
})

test('a path with a long delay is not mistaken for a silent one', () => {
  const wire = wireBetween(6, { delayMs: [700, 900] })
  wire.runFor(10_000)
  play(wire, 60_000, ['opener'])
  wire.runFor(60_000)
  for (const side of sides) assert.deepEqual(wire.timesOf(side, 'disturbed'), [])
})

test('after minutes of sleep a link pings before it counts as lost, without a burst of timers', () => {
  const wire = openWire(7)
  wire.now += 600_000
  const before = wire.sent.length
  const woke = wire.links.opener.handleTimeout(wire.now)
  assert.deepEqual(
    woke.map(({ type }) => type),
    ['send'],
  )
  wire.perform('opener', woke)
  assert.ok((wire.links.opener.nextTimeout() ?? 0) > wire.now)
  wire.runFor(1_000)
  assert.ok(wire.sent.length - before < 8)
  for (const side of sides) assert.equal(wire.links[side].state, 'open')
})

test('a link whose peer does not answer after a sleep is lost half a minute later', () => {
  const wire = openWire(8)
  wire.now += 600_000
  wire.conditions = { loss: 1 }
  wire.runFor(29_000)
  assert.equal(wire.links.opener.state, 'open')
  wire.runFor(2_000)
  assert.equal(wire.closeReason('opener'), 'lost')
})

test('a peer whose NAT gave it another port or address is followed within about a round trip', () => {
  const wire = openWire(9)
  play(wire, 2_000)
  const movedAt = wire.now
  moveOpener(wire, elsewhere)
  play(wire, 1_000)
  assert.deepEqual(wire.links.responder.remote, elsewhere)
  assert.ok((wire.timesOf('responder', 'moved')[0] as number) - movedAt <= 300)
  for (const side of sides) {
    assert.deepEqual(wire.timesOf(side, 'disturbed'), [])
    assert.equal(wire.links[side].state, 'open')
  }
  const before = wire.datagrams('opener').length
  play(wire, 1_000)
  assert.equal(wire.datagrams('opener').length - before, 20)
})

test('an idle peer that moved is followed when it next pings', () => {
  const wire = openWire(10)
  moveOpener(wire, elsewhere)
  wire.runFor(12_000)
  assert.deepEqual(wire.links.responder.remote, elsewhere)
  assert.equal(wire.links.opener.state, 'open')
})

test('a copy that arrives first from another address diverts nothing, though the attacker forwards challenges', () => {
  const wire = openWire(11)
  let copied = 0
  // A copy overtakes every packet of the opener, and packets to the attacker get through.
  wire.routing = (side, to) => {
    if (side === 'opener') return equalEndpoints(to, endpoints.responder) ? elsewhere : null
    if (equalEndpoints(to, elsewhere)) copied++
    return endpoints.responder
  }
  play(wire, 30_000)
  assert.ok(copied > 0)
  assert.deepEqual(wire.links.responder.remote, endpoints.opener)
  assert.deepEqual(wire.timesOf('responder', 'moved'), [])
  assert.ok(copied <= 40, `${copied} packets to the copier in 30 s`)
})

test('a single copied packet causes a few challenges of its size, and no data', () => {
  const wire = openWire(12)
  wire.conditions = { loss: 1 }
  wire.send('opener', utf8('to be copied'))
  const packet = wire.sent.at(-1)
  assert.ok(packet)
  wire.conditions = {}
  const before = wire.sent.length
  wire.inject('responder', elsewhere, packet.bytes)
  wire.inject('responder', { ...elsewhere, port: 7002 }, packet.bytes)
  play(wire, 20_000)
  const challenges = wire.sent
    .slice(before)
    .filter(({ to }) => !equalEndpoints(to, endpoints.opener) && !equalEndpoints(to, endpoints.responder))
  assert.ok(challenges.length > 0 && challenges.length <= 5)
  for (const { to, bytes } of challenges) {
    assert.deepEqual(to, elsewhere)
    assert.equal(bytes.length, 43)
  }
  assert.deepEqual(wire.links.responder.remote, endpoints.opener)
})

test('when both know each other’s new endpoints, a cut path is replaced within 3.5 s, even through filtering NATs', () => {
  const wire = openWire(13)
  play(wire, 2_000)
  const homes = { opener: elsewhere, responder: { address: '198.51.100.9', port: 9001 } }
  const opened = new Set<Side>()
  // Each NAT accepts only packets from endpoints it has sent to.
  wire.routing = (side, to) => {
    if (!equalEndpoints(to, homes[otherSide(side)])) return null
    opened.add(side)
    return opened.has(otherSide(side)) ? homes[side] : null
  }
  for (const side of sides)
    wire.perform(
      side,
      wire.links[side].setCandidatePaths(wire.now, [{ endpoint: homes[otherSide(side)], rank: 1 }]),
    )
  const cutAt = wire.now
  play(wire, 3_500)
  for (const side of sides) {
    assert.deepEqual(wire.links[side].remote, homes[otherSide(side)])
    assert.ok(
      (wire.timesOf(side, 'recovered')[0] ?? wire.timesOf(side, 'moved')[0] ?? Infinity) - cutAt <= 3_500,
    )
    assert.ok(!wire.links[side].isDisturbed)
  }
})

test('an announced path of higher rank is used when it answers, and no other', () => {
  const wire = openWire(14)
  let lanAnswers = false
  wire.routing = (side, to) => {
    if (side === 'responder') return lanAnswers ? lan : endpoints.responder
    return equalEndpoints(to, elsewhere) ? null : endpoints.opener
  }
  const paths = [
    { endpoint: lan, rank: 3 },
    { endpoint: elsewhere, rank: 0 },
  ]
  wire.perform('opener', wire.links.opener.setCandidatePaths(wire.now, paths))
  wire.runFor(5_000)
  assert.deepEqual(
    wire.links.opener.remote,
    endpoints.responder,
    'an answer from another endpoint proves nothing',
  )
  lanAnswers = true
  wire.perform('opener', wire.links.opener.announceCandidates(wire.now, []))
  wire.runFor(1_000)
  assert.deepEqual(wire.links.opener.remote, lan)
  assert.ok(!wire.sent.some(({ to }) => equalEndpoints(to, elsewhere)))
})

test('each list of candidates reaches the peer once, even with losses', () => {
  for (let seed = 20; seed < 40; seed++) {
    const wire = openWire(seed)
    wire.conditions = { loss: 0.3, duplication: 0.3, delayMs: [5, 300] }
    const lists = [[elsewhere], [lan, elsewhere]].map((list) =>
      list.map((endpoint) => ({ kind: 'host' as const, endpoint })),
    )
    for (const list of lists) {
      wire.perform('opener', wire.links.opener.announceCandidates(wire.now, list))
      wire.runFor(30_000)
    }
    const received = wire.events.responder.flatMap((event) =>
      event.type === 'candidates' ? [event.candidates] : [],
    )
    assert.deepEqual(received, lists)
  }
})

test('challenges stay few, whatever a peer announces and however often', () => {
  const endpoint = fc.record({ address: fc.ipV4(), port: fc.integer({ min: 1, max: 65535 }) })
  const path = fc.record({ endpoint, rank: fc.integer({ min: 0, max: 3 }) })
  const lists = fc.array(fc.array(path, { maxLength: 30 }), { minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(lists, (announced) => {
      const wire = openWire(50)
      const start = wire.now
      wire.conditions = { loss: 1 }
      for (const paths of announced) {
        wire.perform('opener', wire.links.opener.setCandidatePaths(wire.now, paths))
        wire.runFor(200)
      }
      const spentMs = wire.now - start
      const challenges = wire.sent.filter(
        ({ at, to, from }) => from === 'opener' && at >= start && !equalEndpoints(to, endpoints.responder),
      )
      assert.ok(challenges.length <= challengeRate.burst + (challengeRate.perSecond * spentMs) / 1_000 + 1)
    }),
    { numRuns: 30 },
  )
})

test('whatever happens to both sides, a link whose network returns within 20 s recovers', () => {
  const phase = fc.record({
    ms: fc.integer({ min: 100, max: 6_000 }),
    loss: fc.constantFrom(0, 0.1, 0.3, 1),
    port: fc.integer({ min: 1, max: 5 }),
    isSending: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.integer(), fc.array(phase, { maxLength: 8 }), (seed, phases) => {
      const wire = openWire(Math.abs(seed % 10_000) + 1)
      let silentMs = 0
      for (const { ms, loss, port, isSending } of phases) {
        silentMs = loss === 1 ? silentMs + ms : 0
        if (silentMs > 15_000) break
        wire.conditions = { loss }
        moveOpener(wire, { ...elsewhere, port })
        play(wire, ms, isSending ? sides : [])
      }
      wire.conditions = {}
      play(wire, 12_000)
      for (const side of sides) {
        assert.equal(wire.links[side].state, 'open')
        assert.ok(!wire.links[side].isDisturbed)
        const before = wire.datagrams(side).length
        play(wire, 500)
        assert.ok(wire.datagrams(side).length > before)
      }
    }),
    { numRuns: 60 },
  )
})
