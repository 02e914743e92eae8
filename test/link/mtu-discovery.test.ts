import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { basePacketBytes, MtuDiscovery, maxPacketBytes } from '../../src/link/mtu-discovery.ts'
import { seededRandom } from '../harness/seeded-crypto.ts'
import { wireBetween } from './wire.ts'

const sides = ['opener', 'responder'] as const

/** Runs a search on a path of this size with a round trip of 40 ms. Small packets always arrive. */
function search(maxBytes: number, family: 4 | 6, loss: () => boolean = () => false) {
  const discovery = new MtuDiscovery(0, family)
  let [now, probes] = [0, 0]
  discovery.noteRoundTrip(40)
  while (discovery.dueAt() <= now + 10_000) {
    now = Math.max(now, discovery.dueAt())
    const probe = discovery.nextProbe(now)
    if (!probe) continue
    probes++
    assert.ok(probe.bytes <= maxPacketBytes[family] && probe.bytes > basePacketBytes)
    discovery.noteReceived(now + 1)
    if (probe.bytes <= maxBytes && !loss()) discovery.handleAnswer(now + 40, probe.number)
  }
  return { packetBytes: discovery.packetBytes, probes, now }
}

test('a path of Ethernet’s size is found with one probe', () => {
  assert.deepEqual(search(1472, 4), { packetBytes: 1472, probes: 1, now: 0 })
  assert.deepEqual(search(1452, 6), { packetBytes: 1452, probes: 1, now: 0 })
})

test('the size of a smaller path is found within seconds and never overestimated', () => {
  const common = [1464, 1444, 1432, 1412, 1392, 1372, 1352, 1312, 1272, 1232]
  for (const bytes of common) {
    const { packetBytes, now, probes } = search(bytes, 4)
    assert.equal(packetBytes, bytes)
    assert.ok(now <= 5_000 && probes <= 16, `${bytes}: ${now} ms, ${probes} probes`)
  }
  assert.equal(search(1200, 4).packetBytes, 1200)
  const anything = fc.tuple(fc.integer({ min: 1200, max: 1500 }), fc.constantFrom(4 as const, 6 as const))
  const check = ([bytes, family]: [number, 4 | 6]) => {
    const found = search(bytes, family).packetBytes
    assert.ok(found <= Math.min(bytes, maxPacketBytes[family]))
    assert.ok(bytes - found < 48 || found === maxPacketBytes[family])
  }
  fc.assert(fc.property(anything, check))
})

test('lost probes make the search slower, rarely the size smaller, and never larger', () => {
  const random = seededRandom(1)
  const loss = () => random() < 0.1
  let exact = 0
  for (let run = 0; run < 200; run++) {
    const { packetBytes } = search(1412, 4, loss)
    assert.ok(packetBytes <= 1412)
    if (packetBytes === 1412) exact++
  }
  assert.ok(exact >= 195, `${exact} of 200`)
})

test('after a search that stayed below the largest size, another starts ten minutes later', () => {
  const discovery = new MtuDiscovery(0, 4)
  let now = 0
  while (discovery.dueAt() < 60_000) {
    now = Math.max(now, discovery.dueAt())
    if (discovery.nextProbe(now)) discovery.noteReceived(now + 1)
  }
  assert.equal(discovery.packetBytes, 1200)
  assert.ok(discovery.dueAt() - now >= 599_000)
  const probe = discovery.nextProbe(discovery.dueAt())
  assert.equal(probe?.bytes, 1472)
})

test('silence of the whole path does not reduce the size', () => {
  const discovery = new MtuDiscovery(0, 4)
  const first = discovery.nextProbe(0)
  discovery.handleAnswer(40, first?.number ?? 0)
  discovery.noteSent(1472)
  for (let now = 5_040; now < 60_000; now = Math.max(now + 1, discovery.dueAt())) discovery.nextProbe(now)
  assert.equal(discovery.packetBytes, 1472)
})

test('answers to probes that were never sent change nothing', () => {
  const discovery = new MtuDiscovery(0, 4)
  for (const number of [0, 1, 2, 0xffffffff]) discovery.handleAnswer(0, number)
  assert.equal(discovery.packetBytes, 1200)
})

test('both sides of a link find the size of the path, and datagrams of any size arrive during and after the search', () => {
  for (const maxBytes of [1200, 1272, 1412, 1472]) {
    const wire = wireBetween(1, { maxBytes, delayMs: [5, 30] })
    wire.runFor(500)
    const largest = new Uint8Array(65_535).fill(7)
    wire.send('opener', largest)
    wire.runFor(20_000)
    wire.send('responder', largest)
    wire.send('responder', new Uint8Array(wire.links.responder.singlePacketBytes))
    wire.runFor(1_000)
    assert.deepEqual(wire.datagrams('responder'), [largest])
    assert.deepEqual(
      wire
        .datagrams('opener')
        .map(({ length }) => length)
        .sort((a, b) => a - b),
      [maxBytes - 34, 65_535],
    )
    for (const side of sides) assert.equal(wire.links[side].singlePacketBytes, maxBytes - 34)
  }
})

test('when large packets start to be lost, the link falls back and datagrams arrive again', () => {
  const wire = wireBetween(2, { maxBytes: 1472 })
  wire.runFor(5_000)
  const datagram = new Uint8Array(1_400)
  wire.send('opener', datagram)
  wire.conditions = { maxBytes: 1300 }
  for (let second = 0; second < 12; second++) {
    wire.send('opener', datagram)
    wire.runFor(1_000)
  }
  assert.equal(wire.links.opener.singlePacketBytes, 1272 - 34)
  const before = wire.datagrams('responder').length
  wire.send('opener', datagram)
  wire.runFor(1_000)
  assert.equal(wire.datagrams('responder').length, before + 1)
})

test('a better path starts with small packets and its size is searched anew', () => {
  const wire = wireBetween(3, { maxBytes: 1472 })
  wire.runFor(5_000)
  assert.equal(wire.links.opener.singlePacketBytes, 1438)
  wire.conditions = { maxBytes: 1250 }
  wire.perform('opener', wire.links.opener.setRemote(wire.now, { address: '2001:db8::1', port: 1 }))
  assert.equal(wire.links.opener.singlePacketBytes, 1166)
  wire.runFor(10_000)
  assert.equal(wire.links.opener.singlePacketBytes, 1232 - 34)
})

test('an idle link sends no more probes once the size is known', () => {
  const wire = wireBetween(4)
  wire.runFor(10_000)
  const before = wire.sent.length
  wire.runFor(60_000)
  assert.ok(wire.sent.slice(before).every(({ bytes }) => bytes.length < 100))
})
