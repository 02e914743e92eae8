// Each tactic for hard NATs, seen from one side: what it sends, what it tells, and what it makes of what it hears.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Signal } from '../../src/base/signaling-message.ts'
import { portsOf } from '../../src/punch/port-arithmetic.ts'
import { assignable, at, counting, fixed, nat, OneSide, ours, peer, random } from './one-side.ts'

const portsSignal = (first: number, round = 0, last = first, step = 1): Signal => ({
  type: 'ports',
  round,
  address: peer.address,
  towards: ours,
  ranges: [{ first, last, step }],
})

test('range: the counting side tells the port of its bubble, and keeps that mapping alive', () => {
  const side = new OneSide(counting, fixed)
  side.run(1_000)
  const [bubble] = side.probes
  assert.ok(bubble)
  assert.deepEqual(bubble.to, peer)
  assert.notEqual(bubble.via, 0)
  const port = side.portOf(bubble) as number
  assert.deepEqual(side.lastSignal, {
    type: 'ports',
    round: 0,
    address: ours.address,
    towards: peer,
    ranges: [{ first: port, last: port, step: 1 }],
  })
  side.run(23_000)
  const times = side.probes.filter(({ via }) => via === bubble.via).map(({ at: time }) => time)
  assert.equal(times.length, 4)
  assert.ok(times.every((time, index) => time - (times[index - 1] ?? 0) <= 8_000))
})

test('range: what only opens our own NAT may be kept from going far, and nothing else', () => {
  const side = new OneSide(counting, fixed, { bubbleTtl: 4 })
  side.run(10_000)
  const short = side.sent.filter(({ ttl }) => ttl === 4)
  assert.deepEqual(short, side.probes)
  assert.ok(short.length >= 2)
})

test('range: foreign connections within the bracket make a range of several ports', () => {
  let mappings = 0
  const nextPort = (last: number) => last + (++mappings % 2 === 0 ? 4 : 2)
  const side = new OneSide(nat('APDM', 'APDF', { type: 'sequential', step: 2 }), fixed, { nextPort })
  side.run(1_000)
  assert.ok(side.lastSignal?.type === 'ports')
  const [range] = side.lastSignal.ranges
  const [bubble] = side.probes
  assert.ok(range && bubble && range.last > range.first && range.step === 2)
  assert.ok(portsOf([range], 9).includes(side.portOf(bubble) as number))
})

test('range: the fixed side checks the ports it is told at once, from its main socket, and again', () => {
  const side = new OneSide(fixed, counting)
  side.run(1_000)
  assert.equal(side.probes.length, 0)
  side.hear(portsSignal(40_000, 0, 40_004, 2))
  const tried = side.probes.map(({ to, via }) => [to.address, to.port, via])
  assert.deepEqual(
    tried,
    [40_000, 40_002, 40_004].map((port) => [peer.address, port, 0]),
  )
  side.run(1_500)
  assert.equal(side.probes.length, 9)
  const [first] = side.probes
  assert.ok(first)
  side.confirm(first)
  assert.equal(side.path?.path.candidateKind, 'predicted')
})

test('range: when no port answers, smaller steps are tried, then ports around, within the packets planned', () => {
  const side = new OneSide(fixed, counting)
  side.hear(portsSignal(40_000, 0, 40_008, 4))
  side.run(10_000)
  const tried = new Set(side.probes.map(({ to }) => to.port))
  for (const port of [40_002, 40_001, 40_003, 40_012, 39_996]) assert.ok(tried.has(port), `${port}`)
  side.run(300_000)
  assert.equal(side.ended?.type === 'failed' && side.ended.reason, 'no-answer')
  assert.ok(side.attempt.packets <= side.plan.budget)
})

test('signals that come twice, of an earlier round, or from an absurd address have no effect', () => {
  const side = new OneSide(fixed, counting)
  side.hear(portsSignal(40_000, 1))
  side.run(100)
  const before = side.sent.length
  side.hear(portsSignal(40_000, 1))
  side.hear(portsSignal(50_000, 0))
  for (const address of ['127.0.0.1', '192.168.1.1', '224.0.0.1', '2a00::1']) {
    side.hear({ ...(portsSignal(50_000, 2) as Signal & { type: 'ports' }), address })
  }
  side.hear({ type: 'search', round: 0, startAt: 1_000_000 })
  side.hear({ type: 'targets', round: 0, address: peer.address, ports: [1, 2, 3] })
  side.hear({ type: 'pairs', round: 0, address: peer.address, pairs: [{ mine: 1, yours: 2 }] })
  side.run(0)
  assert.equal(side.sent.length, before)
})

test('a later round replaces the ports of an earlier one', () => {
  const side = new OneSide(fixed, counting)
  side.hear(portsSignal(40_000, 0))
  side.run(5_000)
  side.hear(portsSignal(45_000, 1))
  const before = side.probes.length
  side.run(1_500)
  assert.ok(side.probes.slice(before).length > 0)
  assert.ok(side.probes.slice(before).every(({ to }) => to.port === 45_000))
})

test('assigned range: who has no port before it is told the peer’s waits, then tells its own', () => {
  const side = new OneSide(counting, assignable)
  side.run(5_000)
  assert.deepEqual([side.probes.length, side.signals.length], [0, 0])
  side.hear(portsSignal(41_000))
  side.run(1_000)
  const [opening] = side.probes
  assert.ok(opening)
  assert.deepEqual(opening.to, { address: peer.address, port: 41_000 })
  const port = side.portOf(opening) as number
  assert.ok(side.lastSignal?.type === 'ports')
  assert.deepEqual(side.lastSignal.ranges, [{ first: port, last: port, step: 1 }])
})

test('assigned range: the side with one port for each address is heard from any port of that address', () => {
  const side = new OneSide(assignable, counting)
  side.run(1_000)
  const [opening] = side.probes
  assert.ok(opening)
  const from = { address: peer.address, port: 61_234 }
  side.receiveCheck(from, opening.via)
  const back = side.probes.at(-1)
  assert.deepEqual(back && [back.to, back.via], [from, opening.via])
  assert.ok(back)
  side.confirm(back)
  assert.equal(side.path?.path.via, opening.via)
  assert.deepEqual([...side.open], [opening.via])
})

test('a counting side hears on its extra sockets only from where it sent to', () => {
  const side = new OneSide(counting, fixed)
  side.run(1_000)
  const [bubble] = side.probes
  assert.ok(bubble)
  const before = side.sent.length
  side.receiveCheck({ address: peer.address, port: 61_234 }, bubble.via)
  assert.equal(side.sent.length, before)
  side.receiveCheck(peer, bubble.via)
  assert.equal(side.sent.length, before + 2)
})

test('birthday: the random side proposes an instant, and both search at it, no sooner', () => {
  const sockets = new OneSide(random, fixed)
  const ports = new OneSide(fixed, random)
  const proposal = sockets.lastSignal
  assert.ok(proposal?.type === 'search')
  ports.hear(proposal)
  const startsIn = proposal.startAt - 1_000_000
  for (const side of [sockets, ports]) {
    side.run(startsIn - 1)
    assert.equal(side.probes.length, 0)
    side.run(5_000)
    assert.equal(side.probes.length, side.plan.searchSize)
  }
  assert.equal(new Set(sockets.probes.map(({ via }) => via)).size, 851)
  assert.ok(sockets.probes.every(({ to }) => to.port === peer.port))
  assert.equal(new Set(ports.probes.map(({ to }) => to.port)).size, 851)
  assert.ok(ports.probes.every(({ to, via }) => via === 0 && to.port >= 1024 && to.address === peer.address))
})

test('birthday: when one socket is heard by, it is the path, and all others are closed', () => {
  const side = new OneSide(random, fixed)
  side.run(11_000)
  const one = side.probes[400]
  assert.ok(one && side.open.size === 851)
  side.receiveCheck(peer, one.via)
  side.confirm(one)
  assert.equal(side.path?.path.via, one.via)
  assert.deepEqual([...side.open], [one.via])
  side.run(30_000)
  assert.equal(side.ended?.type, 'done')
  assert.deepEqual([...side.open], [one.via])
})

test('of several sockets that the peer reaches at once only the first answers', () => {
  const side = new OneSide(random, fixed)
  side.run(10_000)
  const [one, other] = [side.probes[3], side.probes[4]]
  assert.ok(one && other)
  side.receiveCheck(peer, one.via)
  const before = side.sent.length
  side.receiveCheck(peer, other.via)
  side.confirm(other)
  assert.deepEqual([side.sent.length, side.path], [before, null])
  side.run(2_500)
  side.receiveCheck(peer, other.via)
  side.confirm(other)
  assert.equal(side.path?.path.via, other.via)
})

test('a search agreed on too late is answered by the next round with a longer lead; one just late begins at once', () => {
  const late = new OneSide(fixed, random)
  late.run(60_000)
  late.hear({ type: 'search', round: 0, startAt: 1_050_000 })
  assert.ok(late.lastSignal?.type === 'search' && late.lastSignal.round === 1)
  // A letter that came 10 s too late for a lead like ours took so much longer.
  assert.ok(late.lastSignal.startAt >= 1_060_000 + 6_200 + 10_000)
  const just = new OneSide(fixed, random)
  just.run(60_000)
  just.hear({ type: 'search', round: 0, startAt: 1_059_000 })
  just.run(1_000)
  assert.ok(just.probes.length > 100)
  assert.equal(just.lastSignal, null)
})

test('a search for a day that never comes is ignored, and whoever hears of a later round follows', () => {
  const side = new OneSide(fixed, random)
  side.hear({ type: 'search', round: 0, startAt: 1_000_000 + 86_400_000 })
  side.hear({ type: 'search', round: 2, startAt: 1_020_000 })
  side.hear({ type: 'search', round: 1, startAt: 1_001_000 })
  side.run(19_000)
  assert.equal(side.probes.length, 0)
  side.run(2_000)
  assert.ok(side.probes.length > 100)
})

test('block search: few sockets, and only ports of the block', () => {
  const block = { first: 2048, last: 2303 }
  const theirs = nat('APDM', 'APDF', { type: 'random', block })
  const side = new OneSide(fixed, theirs)
  side.hear({ type: 'search', round: 0, startAt: 1_001_000 })
  side.run(5_000)
  assert.equal(side.probes.length, 46)
  assert.ok(side.probes.every(({ to }) => to.port >= block.first && to.port <= block.last))
})

test('assigned birthday: the random side proposes when it knows where to, and both keep to the assigned port', () => {
  const strict = nat('ADM', 'APDF', { type: 'sequential', step: 1 })
  const sockets = new OneSide(random, strict)
  sockets.run(5_000)
  assert.equal(sockets.signals.length, 0)
  sockets.hear(portsSignal(41_000))
  sockets.run(0)
  const proposal = sockets.lastSignal
  assert.ok(proposal?.type === 'search')
  sockets.run(proposal.startAt - 1_005_000 + 5_000)
  const opened = sockets.probes.filter(({ via }) => via !== 0)
  assert.equal(opened.length, 851)
  assert.ok(opened.every(({ to }) => to.port === 41_000))

  const ports = new OneSide(strict, random)
  ports.run(1_000)
  const [opening] = ports.probes
  assert.ok(opening && ports.lastSignal?.type === 'ports')
  ports.hear(proposal)
  ports.run(proposal.startAt - 1_000_000 + 5_000)
  const tried = ports.probes.filter(({ to }) => to.port !== peer.port)
  assert.equal(tried.length, 851)
  assert.ok(tried.every(({ via }) => via === opening.via))
})

test('target list: one side names targets, the other opens each and tells its port, the first burns up to one', () => {
  const burner = new OneSide(counting, counting, { role: 'responder' })
  burner.run(5_000)
  const targets = burner.lastSignal
  assert.ok(targets?.type === 'targets' && targets.ports.length >= 2)
  assert.ok(targets.ports.every((port) => port > burner.counter))

  const opener = new OneSide(counting, counting, { role: 'opener' })
  opener.run(5_000)
  assert.equal(opener.probes.length, 0)
  opener.hear({ ...targets, address: peer.address })
  opener.run(3_000)
  const pairs = opener.lastSignal
  assert.ok(pairs?.type === 'pairs')
  assert.deepEqual(
    pairs.pairs.map(({ yours }) => yours),
    targets.ports,
  )
  for (const { mine, yours } of pairs.pairs) {
    const hold = opener.probes.find(({ to }) => to.port === yours)
    assert.equal(hold && opener.portOf(hold), mine)
  }
  const held = opener.probes.length
  opener.run(8_000)
  assert.equal(opener.probes.length, 2 * held)

  burner.hear({ ...pairs, address: peer.address })
  burner.run(1_000)
  const [goal] = pairs.pairs
  assert.ok(goal)
  const hit = burner.probes.find((probe) => burner.portOf(probe) === goal.yours)
  assert.deepEqual(hit?.to, { address: peer.address, port: goal.mine })
  assert.ok(hit)
  burner.confirm(hit)
  assert.equal(burner.path?.path.via, hit.via)
  assert.deepEqual([...burner.open], [hit.via])
})

test('target list: a target that went to somebody else is followed by the next one', () => {
  const burner = new OneSide(counting, counting, { role: 'responder' })
  burner.run(5_000)
  const targets = burner.lastSignal
  assert.ok(targets?.type === 'targets')
  const pairs = targets.ports.map((yours, index) => ({ mine: 6_000 + index, yours }))
  const stolen = targets.ports[0] as number
  burner.nextPort = (last) => (last + 1 === stolen ? stolen + 1 : last + 1)
  burner.hear({ type: 'pairs', round: 0, address: peer.address, pairs })
  burner.run(10_000)
  const second = burner.probes.find((probe) => burner.portOf(probe) === targets.ports[1])
  assert.equal(second?.to.port, 6_001)
})

test('target list: when the counter has passed all targets, or no letter comes, it names new ones ahead', () => {
  for (const letterComes of [true, false]) {
    const burner = new OneSide(counting, counting, { role: 'responder' })
    burner.run(5_000)
    const first = burner.lastSignal
    assert.ok(first?.type === 'targets')
    burner.counter += 5_000
    const pairs = first.ports.map((yours) => ({ mine: 6_000, yours }))
    if (letterComes) burner.hear({ type: 'pairs', round: 0, address: peer.address, pairs })
    burner.run(letterComes ? 10_000 : 60_000)
    const second = burner.lastSignal
    assert.ok(second?.type === 'targets' && second.round === 1)
    assert.ok(second.ports.every((port) => port > 35_000))
  }
})

test('target list: near its end the counter is carried over it before targets are named', () => {
  const burner = new OneSide(counting, counting, { role: 'responder' })
  burner.run(1_000)
  burner.counter = 65_520
  burner.nextPort = (last) => (last >= 65_535 ? 1_024 : last + 1)
  burner.run(30_000)
  const targets = burner.lastSignal
  assert.ok(targets?.type === 'targets')
  assert.ok(
    targets.ports.every((port) => port > 1_024 && port < 5_000),
    targets.ports.join(),
  )
})

test('target list: a counter that runs down is met as well', () => {
  const down = nat('APDM', 'APDF', { type: 'sequential', step: -5 })
  const burner = new OneSide(down, counting, { role: 'responder', nextPort: (last) => last - 5 })
  burner.run(5_000)
  const targets = burner.signals.at(-1)?.signal
  assert.ok(targets?.type === 'targets')
  assert.ok(targets.ports.every((port) => port < burner.counter))
  const pairs = targets.ports.map((yours) => ({ mine: 6_000, yours }))
  burner.hear({ type: 'pairs', round: 0, address: peer.address, pairs })
  burner.run(2_000)
  assert.ok(burner.probes.some((probe) => burner.portOf(probe) === targets.ports[0]))
})

test('without an answer of any STUN server an attempt says so in the end', () => {
  for (const role of ['opener', 'responder'] as const) {
    for (const theirs of [fixed, counting]) {
      const side = new OneSide(counting, theirs, { servers: [], role })
      side.hear({ type: 'targets', round: 0, address: peer.address, ports: [5_000, 6_000] })
      side.run(600_000)
      assert.equal(side.ended?.type === 'failed' && side.ended.reason, 'no-samples')
      assert.deepEqual(side.signals, [])
      assert.deepEqual([...side.open], [])
    }
  }
})

test('ports in no order, though they were known for one, are said to be so in the end', () => {
  const nextPort = (last: number) => 1_024 + ((last * 48_271) % 60_000)
  for (const role of ['opener', 'responder'] as const) {
    for (const theirs of [fixed, counting]) {
      const side = new OneSide(counting, theirs, { role, nextPort })
      side.hear({ type: 'targets', round: 0, address: peer.address, ports: [5_000, 6_000] })
      side.run(600_000)
      assert.equal(side.ended?.type === 'failed' && side.ended.reason, 'unpredictable-ports')
      assert.ok(side.attempt.packets <= side.plan.budget)
      assert.deepEqual([...side.open], [])
    }
  }
})

test('when sockets run out all extra ones are closed at once, and the attempt soon says why it failed', () => {
  const side = new OneSide(random, fixed)
  side.run(7_000)
  const [some] = side.open
  assert.ok(some)
  side.failSocket(some)
  assert.deepEqual([...side.open], [])
  side.run(10_000)
  assert.equal(side.ended?.type === 'failed' && side.ended.reason, 'too-few-sockets')
})

test('a direct answer within that time still makes a path', () => {
  const side = new OneSide(random, fixed)
  side.run(7_000)
  const [some] = side.open
  assert.ok(some)
  side.failSocket(some)
  const direct = side.sent.find(({ via }) => via === 0)
  assert.ok(direct)
  side.confirm(direct)
  assert.equal(side.path?.path.via, 0)
  side.run(60_000)
  assert.equal(side.ended?.type, 'done')
})

test('where a LAN may do, the tactic waits until the peer must have been there, and signals wait with it', () => {
  const side = new OneSide(fixed, counting, {})
  const patient = new OneSide(fixed, counting, { plan: { ...side.plan, hasEasierPath: true } })
  patient.hear(portsSignal(40_000))
  patient.run(12_900)
  assert.equal(patient.probes.length, 0)
  patient.run(200)
  assert.deepEqual(
    patient.probes.map(({ to }) => to),
    [at('11.0.0.2:40000')],
  )
})
