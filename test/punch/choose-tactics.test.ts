// Each tactic for hard NATs, tested on one side: what it sends and announces, and how it handles signals and
// packets.

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

test('range: the counting side announces the port of its bubble, and keeps that mapping alive', () => {
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

test('range: only packets that open our own NAT get a small hop limit', () => {
  const side = new OneSide(counting, fixed, { bubbleTtl: 4 })
  side.run(10_000)
  const short = side.sent.filter(({ ttl }) => ttl === 4)
  assert.deepEqual(short, side.probes)
  assert.ok(short.length >= 2)
})

test('range: other connections inside the bracket make a range of several ports', () => {
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

test('range: the fixed side checks announced ports at once, from its main socket, and repeats', () => {
  const side = new OneSide(fixed, counting)
  side.run(1_000)
  assert.equal(side.probes.length, 0)
  side.handleSignal(portsSignal(40_000, 0, 40_004, 2))
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

test('range: when no port answers, smaller steps are tried, then ports around, within the budget', () => {
  const side = new OneSide(fixed, counting)
  side.handleSignal(portsSignal(40_000, 0, 40_008, 4))
  side.run(10_000)
  const tried = new Set(side.probes.map(({ to }) => to.port))
  for (const port of [40_002, 40_001, 40_003, 40_012, 39_996]) assert.ok(tried.has(port), `${port}`)
  side.run(300_000)
  assert.equal(side.ended?.type === 'failed' && side.ended.reason, 'no-answer')
  assert.ok(side.attempt.packets <= side.plan.budget)
})

test('signals that are repeated, of an earlier round, or with an absurd address have no effect', () => {
  const side = new OneSide(fixed, counting)
  side.handleSignal(portsSignal(40_000, 1))
  side.run(100)
  const before = side.sent.length
  side.handleSignal(portsSignal(40_000, 1))
  side.handleSignal(portsSignal(50_000, 0))
  for (const address of ['127.0.0.1', '192.168.1.1', '224.0.0.1', '2a00::1']) {
    side.handleSignal({ ...(portsSignal(50_000, 2) as Signal & { type: 'ports' }), address })
  }
  side.handleSignal({ type: 'search', round: 0, startAt: 1_000_000 })
  side.handleSignal({ type: 'targets', round: 0, address: peer.address, ports: [1, 2, 3] })
  side.handleSignal({ type: 'pairs', round: 0, address: peer.address, pairs: [{ mine: 1, yours: 2 }] })
  side.run(0)
  assert.equal(side.sent.length, before)
})

test('a later round replaces the ports of an earlier one', () => {
  const side = new OneSide(fixed, counting)
  side.handleSignal(portsSignal(40_000, 0))
  side.run(5_000)
  side.handleSignal(portsSignal(45_000, 1))
  const before = side.probes.length
  side.run(1_500)
  assert.ok(side.probes.slice(before).length > 0)
  assert.ok(side.probes.slice(before).every(({ to }) => to.port === 45_000))
})

test('assigned range: a side that needs the peer’s port first waits for it, then announces its own', () => {
  const side = new OneSide(counting, assignable)
  side.run(5_000)
  assert.deepEqual([side.probes.length, side.signals.length], [0, 0])
  side.handleSignal(portsSignal(41_000))
  side.run(1_000)
  const [opening] = side.probes
  assert.ok(opening)
  assert.deepEqual(opening.to, { address: peer.address, port: 41_000 })
  const port = side.portOf(opening) as number
  assert.ok(side.lastSignal?.type === 'ports')
  assert.deepEqual(side.lastSignal.ranges, [{ first: port, last: port, step: 1 }])
})

test('assigned range: the side with one port per address answers packets from any port of that address', () => {
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

test('a counting side receives on its extra sockets only from endpoints it has sent to', () => {
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

test('birthday: the random side proposes a start time, and both sides search from then on', () => {
  const sockets = new OneSide(random, fixed)
  const ports = new OneSide(fixed, random)
  const proposal = sockets.lastSignal
  assert.ok(proposal?.type === 'search')
  ports.handleSignal(proposal)
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

test('birthday: the socket that the peer reaches becomes the path, and all others are closed', () => {
  const side = new OneSide(random, fixed)
  side.run(11_000)
  const first = side.probes[400]
  assert.ok(first && side.open.size === 851)
  side.receiveCheck(peer, first.via)
  side.confirm(first)
  assert.equal(side.path?.path.via, first.via)
  assert.deepEqual([...side.open], [first.via])
  side.run(30_000)
  assert.equal(side.ended?.type, 'done')
  assert.deepEqual([...side.open], [first.via])
})

test('of several sockets that the peer reaches at once, only the first answers', () => {
  const side = new OneSide(random, fixed)
  side.run(10_000)
  const [first, other] = [side.probes[3], side.probes[4]]
  assert.ok(first && other)
  side.receiveCheck(peer, first.via)
  const before = side.sent.length
  side.receiveCheck(peer, other.via)
  side.confirm(other)
  assert.deepEqual([side.sent.length, side.path], [before, null])
  side.run(2_500)
  side.receiveCheck(peer, other.via)
  side.confirm(other)
  assert.equal(side.path?.path.via, other.via)
})

test('a proposal that arrives too late is answered by a next round with a longer lead; one slightly late starts at once', () => {
  const late = new OneSide(fixed, random)
  late.run(60_000)
  late.handleSignal({ type: 'search', round: 0, startAt: 1_050_000 })
  assert.ok(late.lastSignal?.type === 'search' && late.lastSignal.round === 1)
  // The letter came 10 s too late for a lead like ours, so the next lead is longer by that.
  assert.ok(late.lastSignal.startAt >= 1_060_000 + 6_200 + 10_000)
  const just = new OneSide(fixed, random)
  just.run(60_000)
  just.handleSignal({ type: 'search', round: 0, startAt: 1_059_000 })
  just.run(1_000)
  assert.ok(just.probes.length > 100)
  assert.equal(just.lastSignal, null)
})

test('a start time too far away is ignored, and a proposal of a later round is followed', () => {
  const side = new OneSide(fixed, random)
  side.handleSignal({ type: 'search', round: 0, startAt: 1_000_000 + 86_400_000 })
  side.handleSignal({ type: 'search', round: 2, startAt: 1_020_000 })
  side.handleSignal({ type: 'search', round: 1, startAt: 1_001_000 })
  side.run(19_000)
  assert.equal(side.probes.length, 0)
  side.run(2_000)
  assert.ok(side.probes.length > 100)
})

test('block search: it uses few sockets, and only ports of the block', () => {
  const block = { first: 2048, last: 2303 }
  const theirs = nat('APDM', 'APDF', { type: 'random', block })
  const side = new OneSide(fixed, theirs)
  side.handleSignal({ type: 'search', round: 0, startAt: 1_001_000 })
  side.run(5_000)
  assert.equal(side.probes.length, 46)
  assert.ok(side.probes.every(({ to }) => to.port >= block.first && to.port <= block.last))
})

test('assigned birthday: the random side proposes once it knows the port, and both sides use the assigned port', () => {
  const strict = nat('ADM', 'APDF', { type: 'sequential', step: 1 })
  const sockets = new OneSide(random, strict)
  sockets.run(5_000)
  assert.equal(sockets.signals.length, 0)
  sockets.handleSignal(portsSignal(41_000))
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
  ports.handleSignal(proposal)
  ports.run(proposal.startAt - 1_000_000 + 5_000)
  const tried = ports.probes.filter(({ to }) => to.port !== peer.port)
  assert.equal(tried.length, 851)
  assert.ok(tried.every(({ via }) => via === opening.via))
})

test('target list: one side announces targets, the other opens each and announces its port, the first advances to one', () => {
  const advancer = new OneSide(counting, counting, { role: 'responder' })
  advancer.run(5_000)
  const targets = advancer.lastSignal
  assert.ok(targets?.type === 'targets' && targets.ports.length >= 2)
  assert.ok(targets.ports.every((port) => port > advancer.counter))

  const opener = new OneSide(counting, counting, { role: 'opener' })
  opener.run(5_000)
  assert.equal(opener.probes.length, 0)
  opener.handleSignal({ ...targets, address: peer.address })
  opener.run(3_000)
  const pairs = opener.lastSignal
  assert.ok(pairs?.type === 'pairs')
  assert.deepEqual(
    pairs.pairs.map(({ yours }) => yours),
    targets.ports,
  )
  for (const { mine, yours } of pairs.pairs) {
    const pinhole = opener.probes.find(({ to }) => to.port === yours)
    assert.equal(pinhole && opener.portOf(pinhole), mine)
  }
  const held = opener.probes.length
  opener.run(8_000)
  assert.equal(opener.probes.length, 2 * held)

  advancer.handleSignal({ ...pairs, address: peer.address })
  advancer.run(1_000)
  const [target] = pairs.pairs
  assert.ok(target)
  const rightProbe = advancer.probes.find((probe) => advancer.portOf(probe) === target.yours)
  assert.deepEqual(rightProbe?.to, { address: peer.address, port: target.mine })
  assert.ok(rightProbe)
  advancer.confirm(rightProbe)
  assert.equal(advancer.path?.path.via, rightProbe.via)
  assert.deepEqual([...advancer.open], [rightProbe.via])
})

test('target list: when somebody else got a target port, the next one is used', () => {
  const advancer = new OneSide(counting, counting, { role: 'responder' })
  advancer.run(5_000)
  const targets = advancer.lastSignal
  assert.ok(targets?.type === 'targets')
  const pairs = targets.ports.map((yours, index) => ({ mine: 6_000 + index, yours }))
  const taken = targets.ports[0] as number
  advancer.nextPort = (last) => (last + 1 === taken ? taken + 1 : last + 1)
  advancer.handleSignal({ type: 'pairs', round: 0, address: peer.address, pairs })
  advancer.run(10_000)
  const second = advancer.probes.find((probe) => advancer.portOf(probe) === targets.ports[1])
  assert.equal(second?.to.port, 6_001)
})

test('target list: when the counter has passed all targets, or no letter comes, new ones are announced', () => {
  for (const letterArrives of [true, false]) {
    const advancer = new OneSide(counting, counting, { role: 'responder' })
    advancer.run(5_000)
    const first = advancer.lastSignal
    assert.ok(first?.type === 'targets')
    advancer.counter += 5_000
    const pairs = first.ports.map((yours) => ({ mine: 6_000, yours }))
    if (letterArrives) advancer.handleSignal({ type: 'pairs', round: 0, address: peer.address, pairs })
    advancer.run(letterArrives ? 10_000 : 60_000)
    const second = advancer.lastSignal
    assert.ok(second?.type === 'targets' && second.round === 1)
    assert.ok(second.ports.every((port) => port > 35_000))
  }
})

test('target list: near its end the counter is carried past it before targets are announced', () => {
  const advancer = new OneSide(counting, counting, { role: 'responder' })
  advancer.run(1_000)
  advancer.counter = 65_520
  advancer.nextPort = (last) => (last >= 65_535 ? 1_024 : last + 1)
  advancer.run(30_000)
  const targets = advancer.lastSignal
  assert.ok(targets?.type === 'targets')
  assert.ok(
    targets.ports.every((port) => port > 1_024 && port < 5_000),
    targets.ports.join(),
  )
})

test('target list: a counter that counts down works too', () => {
  const down = nat('APDM', 'APDF', { type: 'sequential', step: -5 })
  const advancer = new OneSide(down, counting, { role: 'responder', nextPort: (last) => last - 5 })
  advancer.run(5_000)
  const targets = advancer.signals.at(-1)?.signal
  assert.ok(targets?.type === 'targets')
  assert.ok(targets.ports.every((port) => port < advancer.counter))
  const pairs = targets.ports.map((yours) => ({ mine: 6_000, yours }))
  advancer.handleSignal({ type: 'pairs', round: 0, address: peer.address, pairs })
  advancer.run(2_000)
  assert.ok(advancer.probes.some((probe) => advancer.portOf(probe) === targets.ports[0]))
})

test('when no STUN server answers, the attempt fails with that reason', () => {
  for (const role of ['opener', 'responder'] as const) {
    for (const theirs of [fixed, counting]) {
      const side = new OneSide(counting, theirs, { servers: [], role })
      side.handleSignal({ type: 'targets', round: 0, address: peer.address, ports: [5_000, 6_000] })
      side.run(600_000)
      assert.equal(side.ended?.type === 'failed' && side.ended.reason, 'no-samples')
      assert.deepEqual(side.signals, [])
      assert.deepEqual([...side.open], [])
    }
  }
})

test('when the ports show no order against expectation, the attempt fails with that reason', () => {
  const nextPort = (last: number) => 1_024 + ((last * 48_271) % 60_000)
  for (const role of ['opener', 'responder'] as const) {
    for (const theirs of [fixed, counting]) {
      const side = new OneSide(counting, theirs, { role, nextPort })
      side.handleSignal({ type: 'targets', round: 0, address: peer.address, ports: [5_000, 6_000] })
      side.run(600_000)
      assert.equal(side.ended?.type === 'failed' && side.ended.reason, 'unpredictable-ports')
      assert.ok(side.attempt.packets <= side.plan.budget)
      assert.deepEqual([...side.open], [])
    }
  }
})

test('when sockets run out, all extra ones are closed at once, and the attempt soon fails with that reason', () => {
  const side = new OneSide(random, fixed)
  side.run(7_000)
  const [failed] = side.open
  assert.ok(failed)
  side.failSocket(failed)
  assert.deepEqual([...side.open], [])
  side.run(10_000)
  assert.equal(side.ended?.type === 'failed' && side.ended.reason, 'too-few-sockets')
})

test('after sockets ran out, a direct answer still makes a path', () => {
  const side = new OneSide(random, fixed)
  side.run(7_000)
  const [failed] = side.open
  assert.ok(failed)
  side.failSocket(failed)
  const direct = side.sent.find(({ via }) => via === 0)
  assert.ok(direct)
  side.confirm(direct)
  assert.equal(side.path?.path.via, 0)
  side.run(60_000)
  assert.equal(side.ended?.type, 'done')
})

test('when a LAN path may work, the tactic waits until the peer must be active, and signals wait with it', () => {
  const side = new OneSide(fixed, counting, {})
  const waiting = new OneSide(fixed, counting, { plan: { ...side.plan, hasEasierPath: true } })
  waiting.handleSignal(portsSignal(40_000))
  waiting.run(12_900)
  assert.equal(waiting.probes.length, 0)
  waiting.run(200)
  assert.deepEqual(
    waiting.probes.map(({ to }) => to),
    [at('11.0.0.2:40000')],
  )
})
