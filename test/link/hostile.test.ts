import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { utf8 } from '../../src/base/bytes.ts'
import type { Link } from '../../src/link/link.ts'
import { PeerPair, type SentPacket, type Side, Wire } from './wire.ts'

const pair = new PeerPair(77)
const side = fc.constantFrom<Side>('opener', 'responder')

function freshWire(): Wire {
  return new Wire(77, {}, pair.options('opener'), pair.options('responder'))
}

/** An open link that has carried some traffic, and all packets of an earlier link. */
function openWire(): { wire: Wire; earlier: readonly SentPacket[] } {
  const run = () => {
    const wire = freshWire()
    wire.runFor(1_000)
    for (let i = 0; i < 5; i++) {
      wire.send('opener', utf8(`there ${i}`))
      wire.send('responder', utf8(`back ${i}`))
    }
    wire.runFor(15_000)
    return wire
  }
  const earlier = run().sent
  return { wire: run(), earlier }
}

/** The state of a link that can be seen from outside. */
function visibleState(link: Link) {
  return { state: link.state, next: link.nextTimeout(), remote: link.remote }
}

function assertUnchanged(link: Link, now: number, bytes: Uint8Array): void {
  const before = visibleState(link)
  assert.deepEqual(link.handleDatagram(now, bytes), [])
  assert.deepEqual(visibleState(link), before)
}

test('random bytes change nothing and get no answer, before and after a link is open', () => {
  const prefixes = fc.constantFrom<number[]>([], [0xc2], [0xc3])
  const tag = pair.options('opener').tag
  const { wire } = openWire()
  const fresh = freshWire()
  const check = (to: Side, first: number[], withTag: boolean, rest: Uint8Array) => {
    const bytes = Uint8Array.from([...first, ...(withTag ? tag : []), ...rest])
    assertUnchanged(wire.links[to], wire.now, bytes)
    assertUnchanged(fresh.links[to], 0, bytes)
  }
  const rest = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ minLength: 139, maxLength: 139 }),
    fc.uint8Array({ minLength: 1_430, maxLength: 1_500 }),
  )
  fc.assert(fc.property(side, prefixes, fc.boolean(), rest, check), { numRuns: 1_000 })
})

test('no altered packet of this or an earlier link changes anything', () => {
  const { wire, earlier } = openWire()
  const fresh = freshWire()
  const packets = [...wire.sent, ...earlier]
  const check = (to: Side, index: number, at: number, flip: number, cut: number) => {
    const bytes = (packets[index % packets.length] as SentPacket).bytes.slice()
    bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ flip
    const altered = cut === 0 ? bytes : bytes.subarray(0, Math.max(0, bytes.length - cut))
    assertUnchanged(wire.links[to], wire.now, altered)
    assertUnchanged(fresh.links[to], 0, altered)
  }
  const number = fc.nat(10_000)
  const flip = fc.integer({ min: 1, max: 255 })
  const cut = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 30 }))
  fc.assert(fc.property(side, number, number, flip, cut, check), { numRuns: 2_000 })
})

test('no replayed or reflected packet of this or an earlier link changes an open one', () => {
  const { wire, earlier } = openWire()
  for (const { bytes } of [...wire.sent, ...earlier]) {
    for (const link of Object.values(wire.links)) assertUnchanged(link, wire.now, bytes)
  }
})

test('packets of an earlier link do not open a new one; only its opening gets one acceptance, sent to the remote', () => {
  const { earlier } = openWire()
  const fresh = freshWire()
  const actions = earlier.flatMap(({ bytes }) => fresh.links.responder.handleDatagram(0, bytes))
  const again = earlier.flatMap(({ bytes }) => fresh.links.responder.handleDatagram(0, bytes))
  assert.equal(actions.length, 1)
  assert.deepEqual(actions[0]?.type === 'send' && actions[0].to, fresh.links.responder.remote)
  assert.deepEqual(again, [])
  for (const { bytes } of earlier) assertUnchanged(fresh.links.opener, 0, bytes)
  assert.equal(fresh.links.responder.state, 'handshake')
  fresh.runFor(1_000)
  assert.equal(fresh.links.responder.state, 'open')
})

test('a link with a stranger of another identity or room never opens, however long both try', () => {
  const stranger = new PeerPair(78)
  const strangers = [
    { identity: stranger.identities.opener },
    { keys: stranger.options('opener').keys },
    { sessionKeys: stranger.options('opener').sessionKeys },
  ]
  for (const wrong of strangers) {
    const wire = new Wire(1, {}, pair.options('opener', 0, wrong), pair.options('responder'))
    wire.runFor(120_000)
    assert.equal(wire.closeReason('responder'), 'no-handshake')
    assert.equal(wire.has('responder', 'open'), false)
  }
})

test('a link keeps working whatever is mixed into its traffic', () => {
  const { wire, earlier } = openWire()
  const recorded = [...wire.sent, ...earlier]
  const check = (noise: readonly [Side, number, Uint8Array][]) => {
    const before = wire.datagrams('responder').length
    for (const [to, index, bytes] of noise) {
      const packet = (recorded[index % recorded.length] as SentPacket).bytes
      wire.perform(to, wire.links[to].handleDatagram(wire.now, packet))
      wire.perform(to, wire.links[to].handleDatagram(wire.now, bytes))
    }
    wire.send('opener', utf8('through'))
    wire.runFor(50)
    assert.equal(wire.datagrams('responder').length, before + 1)
  }
  const noise = fc.array(fc.tuple(side, fc.nat(1_000), fc.uint8Array({ maxLength: 60 })), { maxLength: 20 })
  fc.assert(fc.property(noise, check), { numRuns: 200 })
})
