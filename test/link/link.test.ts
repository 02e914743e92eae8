import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toHex, utf8 } from '../../src/base/bytes.ts'
import type { Crypto } from '../../src/base/crypto.ts'
import { createLink } from '../../src/link/link.ts'
import { maxDatagramBytes } from '../../src/link/packet-codec.ts'
import { otherSide, PeerPair, type Side, Wire, wireBetween } from './wire.ts'

const sides: readonly Side[] = ['opener', 'responder']

test('the handshake completes at any loss up to 30 %, with reordering and duplicates, whatever the seed', () => {
  for (const loss of [0, 0.1, 0.2, 0.3]) {
    for (let seed = 1; seed <= 60; seed++) {
      const wire = wireBetween(seed, { loss, duplication: 0.2, delayMs: [5, 300] })
      wire.runFor(30_000)
      for (const side of sides) {
        assert.equal(wire.events[side].filter((event) => event.type === 'open').length, 1, `${side} ${seed}`)
        assert.equal(wire.links[side].state, 'open', `${side}, seed ${seed}, loss ${loss}`)
      }
    }
  }
})

test('without losses a link opens after one and a half round trips, with three handshake packets', () => {
  const wire = wireBetween(1)
  wire.runFor(60)
  assert.deepEqual(
    sides.map((side) => wire.links[side].state),
    ['open', 'open'],
  )
  wire.runFor(5_000)
  assert.equal(wire.sent.filter(({ bytes }) => bytes[0] === 0xc2).length, 3)
})

test('a responder that starts seconds after the opener still gets a link', () => {
  const pair = new PeerPair(2)
  const late = new Wire(2, { loss: 1 }, pair.options('opener'), pair.options('responder'))
  late.runFor(9_000)
  late.conditions = {}
  late.runFor(1_100)
  assert.equal(late.links.responder.state, 'open')
})

test('every datagram arrives at most once and unaltered, and without losses all of them arrive', () => {
  for (const loss of [0, 0.3]) {
    for (let seed = 1; seed <= 20; seed++) {
      const wire = wireBetween(seed, { loss, duplication: 0.3, delayMs: [5, 200] })
      wire.runFor(20_000)
      for (let i = 0; i < 100; i++) {
        for (const side of sides) wire.send(side, utf8(`${side} ${i}`))
        wire.runFor(16)
      }
      wire.runFor(1_000)
      for (const side of sides) {
        const received = wire.datagrams(side).map((bytes) => new TextDecoder().decode(bytes))
        const sent = Array.from({ length: 100 }, (_, i) => `${otherSide(side)} ${i}`)
        assert.equal(new Set(received).size, received.length, 'a datagram arrived twice')
        if (loss === 0) assert.deepEqual(new Set(received), new Set(sent))
        else assert.ok(received.every((text) => sent.includes(text)))
      }
    }
  }
})

test('a datagram may be empty or 65,535 bytes long, and no longer', () => {
  const wire = wireBetween(3)
  wire.runFor(1_000)
  const largest = new Uint8Array(maxDatagramBytes).fill(7)
  wire.send('opener', new Uint8Array(0))
  wire.send('opener', largest)
  assert.equal(wire.links.opener.sendDatagram(wire.now, new Uint8Array(maxDatagramBytes + 1)), 'too-big')
  wire.runFor(100)
  assert.deepEqual(wire.datagrams('responder'), [new Uint8Array(0), largest])
})

test('nothing can be sent before a link is open or after it closed', () => {
  const wire = wireBetween(4)
  assert.equal(wire.links.opener.sendDatagram(0, utf8('early')), 'not-open')
  wire.runFor(1_000)
  wire.perform('opener', wire.links.opener.close(wire.now))
  assert.equal(wire.links.opener.sendDatagram(wire.now, utf8('late')), 'not-open')
})

test('an idle link sends at least every keepaliveMs, measures its round trip and stays open', () => {
  const wire = wireBetween(5, {}, { keepaliveMs: 10_000 })
  wire.runFor(300_000)
  for (const side of sides) {
    const times = [...wire.sent.filter(({ from }) => from === side).map(({ at }) => at), wire.now]
    for (const [i, at] of times.entries()) assert.ok(at - (times[i - 1] ?? 0) <= 10_000)
    assert.equal(wire.links[side].state, 'open')
    const trips = wire.events[side].flatMap((event) => (event.type === 'round-trip' ? [event.ms] : []))
    assert.ok(trips.length >= 29)
    assert.ok(trips.every((ms) => ms === 40))
  }
})

test('a link survives twelve seconds of silence and is lost after thirty, with faster pings before', () => {
  const wire = wireBetween(6)
  wire.runFor(1_000)
  wire.conditions = { loss: 1 }
  wire.runFor(12_000)
  wire.conditions = {}
  wire.runFor(30_000)
  for (const side of sides) assert.equal(wire.links[side].state, 'open')
  wire.conditions = { loss: 1 }
  const sentBefore = wire.sent.length
  wire.runFor(45_000)
  for (const side of sides) {
    assert.equal(wire.closeReason(side), 'lost')
    assert.ok(wire.sent.slice(sentBefore).filter(({ from }) => from === side).length >= 6)
  }
})

test('without an answer both sides end after handshakeMs', () => {
  const wire = wireBetween(7, { loss: 1 }, { handshakeMs: 20_000 })
  wire.runFor(19_999)
  assert.deepEqual(wire.events, { opener: [], responder: [] })
  wire.runFor(1)
  for (const side of sides) assert.equal(wire.closeReason(side), 'no-handshake')
})

test('a close is acknowledged, whichever side begins', () => {
  for (const side of sides) {
    const wire = wireBetween(8)
    wire.runFor(1_000)
    wire.perform(side, wire.links[side].close(wire.now))
    wire.runFor(40)
    assert.equal(wire.closeReason(side), 'closed')
    assert.equal(wire.closeReason(otherSide(side)), 'closed-by-peer')
  }
})

test('closing on both sides at once ends both', () => {
  const wire = wireBetween(9)
  wire.runFor(1_000)
  for (const side of sides) wire.perform(side, wire.links[side].close(wire.now))
  wire.runFor(100)
  for (const side of sides) assert.equal(wire.closeReason(side), 'closed')
})

test('a close without an answer is repeated, and the link ends within a second', () => {
  const wire = wireBetween(10)
  wire.runFor(1_000)
  wire.conditions = { loss: 1 }
  const before = wire.sent.length
  wire.perform('opener', wire.links.opener.close(wire.now))
  wire.runFor(1_000)
  assert.equal(wire.closeReason('opener'), 'closed')
  assert.equal(wire.sent.length - before, 4)
})

test('a closed link answers nothing and needs no timer', () => {
  const wire = wireBetween(11)
  wire.runFor(1_000)
  wire.perform('opener', wire.links.opener.close(wire.now))
  wire.runFor(2_000)
  for (const side of sides) {
    const link = wire.links[side]
    assert.equal(link.state, 'closed')
    assert.equal(link.nextTimeout(), null)
    for (const { bytes } of wire.sent) assert.deepEqual(link.handleDatagram(wire.now, bytes), [])
    assert.deepEqual(link.handleTimeout(wire.now + 1e9), [])
    assert.deepEqual(link.close(wire.now), [])
    assert.deepEqual(link.setRemote(wire.now, { address: '198.51.100.9', port: 9 }), [])
    assert.equal(link.sendDatagram(wire.now, utf8('x')), 'not-open')
    assert.equal(wire.events[side].filter((event) => event.type === 'closed').length, 1)
  }
})

test('a closed link has overwritten its own keys and not those it was given', () => {
  const pair = new PeerPair(12)
  const usedKeys: Uint8Array[] = []
  const recordingCrypto = {
    ...pair.crypto,
    encryptInto: (...args: Parameters<Crypto['encryptInto']>) => {
      usedKeys.push(args[1])
      pair.crypto.encryptInto(...args)
    },
  }
  const given = pair.options('opener').keys
  const before = toHex(given.sendKey)
  const options = pair.options('opener', 0, { crypto: recordingCrypto })
  const wire = new Wire(12, {}, options, pair.options('responder'))
  wire.runFor(1_000)
  wire.perform('opener', wire.links.opener.close(wire.now))
  wire.runFor(1_000)
  assert.ok(usedKeys.length > 3)
  for (const key of usedKeys) assert.deepEqual(key, new Uint8Array(32))
  assert.equal(toHex(given.sendKey), before)
})

test('a better path is used at once, and packets that still arrive on the old one are accepted', () => {
  const wire = wireBetween(13)
  wire.runFor(1_000)
  wire.send('responder', utf8('by the old path'))
  const better = { address: '192.168.1.7', port: 7007 }
  wire.perform('opener', wire.links.opener.setRemote(wire.now, better))
  assert.deepEqual(wire.sent.at(-1)?.to, better)
  wire.send('opener', utf8('by the new path'))
  assert.deepEqual(wire.sent.at(-1)?.to, better)
  wire.runFor(100)
  assert.equal(wire.datagrams('opener').length, 1)
  assert.equal(wire.datagrams('responder').length, 1)
})

test('an open link ignores a restarted peer until it has noticed the loss', () => {
  const pair = new PeerPair(14)
  const wire = new Wire(14, {}, pair.options('opener'), pair.options('responder'))
  wire.runFor(5_000)
  wire.links.opener = createLink(pair.options('opener', wire.now))
  wire.runFor(20_000)
  assert.equal(wire.links.responder.state, 'open')
  assert.equal(wire.links.opener.state, 'handshake')
  wire.runFor(15_000)
  assert.equal(wire.closeReason('responder'), 'lost')
})

test('two links of the same two sessions never send the same packet, and reject each other’s packets', () => {
  const pair = new PeerPair(15)
  const link = () => {
    const wire = new Wire(15, {}, pair.options('opener'), pair.options('responder'))
    wire.runFor(1_000)
    wire.send('opener', utf8('the same words'))
    wire.runFor(1_000)
    return wire
  }
  const [first, second] = [link(), link()]
  const packets = [...first.sent, ...second.sent].map(({ bytes }) => toHex(bytes))
  assert.equal(new Set(packets).size, packets.length)
  for (const { from, bytes } of first.sent) {
    const other = second.links[otherSide(from)]
    assert.deepEqual(other.handleDatagram(second.now, bytes), [])
  }
})

test('a link closes itself before its counter is used up', () => {
  const wire = wireBetween(16, {}, { firstCounter: 2 ** 48 - 80 })
  wire.runFor(1_000)
  for (let i = 0; i < 40 && wire.links.opener.state === 'open'; i++) wire.send('opener', utf8(`${i}`))
  wire.runFor(1_000)
  assert.equal(wire.closeReason('opener'), 'closed')
  assert.equal(wire.closeReason('responder'), 'closed-by-peer')
})
