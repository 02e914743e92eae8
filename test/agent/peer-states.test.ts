import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { AgentEvent } from '../../src/agent/events.ts'
import { LinkQuality, maxRoundTrips } from '../../src/agent/peers/link-quality.ts'
import { maxPeers, PeerStates } from '../../src/agent/peers/peer-states.ts'
import { unknownNat } from '../../src/base/nat-profile.ts'
import type { OfferedPeer } from '../../src/letter/letter-types.ts'
import { userIdText } from '../../src/letter/user-id.ts'

const idOf = (number: number) => Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? number >> 8 : number))
const nameOf = ({ id, nickname }: OfferedPeer) => ({ id: userIdText(id), name: nickname })

function peer(number: number): OfferedPeer {
  const session = { id: new Uint8Array(16), publicKey: new Uint8Array(32) }
  return {
    id: idOf(number),
    nickname: `p${number}`,
    session,
    candidates: [],
    nat: unknownNat,
    sameNat: false,
    flagged: false,
    ageMs: 5,
  }
}
const about = (number: number) => ({ id: userIdText(idOf(number)), name: `p${number}` })
const path = { kind: 'direct', protocol: 'udp', local: '1.2.3.4:5', remote: '1.2.3.4:6' } as const
const connected = (number: number): AgentEvent => ({
  event: 'connected',
  peer: about(number),
  path,
  plan: 'direct',
  packets: 2,
  sinceRequestMs: 3,
  sincePunchMs: 4,
})

test('after any events at most 256 peers are remembered, and no linked peer is forgotten', () => {
  const step = fc.record({
    what: fc.constantFrom('offered', 'connected', 'failed', 'disconnected', 'punching'),
    who: fc.nat(600),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 900 }), (steps) => {
      const peerStates = new PeerStates()
      const linked = new Set<number>()
      for (const [now, { what, who }] of steps.entries()) {
        if (what === 'offered') peerStates.noteOffered([peer(who)], nameOf, now)
        // An agent has at most 128 connections.
        if (what === 'connected' && (linked.size < 128 || linked.has(who))) {
          peerStates.handle(connected(who), now)
          linked.add(who)
        }
        if (what === 'punching')
          peerStates.handle({ event: 'punching', peer: about(who), plan: 'range' }, now)
        if (what === 'disconnected' && linked.delete(who)) {
          peerStates.handle({ event: 'disconnected', peer: about(who), reason: 'lost' }, now)
        }
        if (what === 'failed' && !linked.has(who)) {
          peerStates.handle({ event: 'failed', peer: about(who), reason: 'no' }, now)
        }
      }
      assert.ok(peerStates.entries.length <= maxPeers)
      const shown = peerStates.entries
        .filter(({ state }) => state.state === 'linked')
        .map(({ peer }) => peer.name)
      assert.deepEqual(shown.sort(), [...linked].map((who) => `p${who}`).sort())
    }),
    { numRuns: 60 },
  )
})

test('a linked peer stays linked since the same time when a newer session is tried or its path changes', () => {
  const peerStates = new PeerStates()
  peerStates.noteOffered([peer(1)], nameOf, 100)
  peerStates.handle(connected(1), 200)
  peerStates.handle({ event: 'punching', peer: about(1), plan: 'direct' }, 300)
  peerStates.handle({ event: 'path', peer: about(1), path: { ...path, kind: 'lan' } }, 400)
  const [entry] = peerStates.entries
  assert.ok(entry?.state.state === 'linked' && entry.state.path.kind === 'lan')
  assert.deepEqual([entry.stateAt, entry.requestedAt], [200, 95])
})

test('round-trip times are smoothed, and only the latest sixty are kept', () => {
  const quality = new LinkQuality()
  const nothing = { answered: 0, lost: 0 }
  const none = quality.report(nothing)
  assert.deepEqual([none.roundTripMs, none.jitterMs, none.lossRate], [null, null, null])
  for (let at = 0; at < 100; at++) quality.noteRoundTrip(at, at % 2 === 0 ? 40 : 60)
  const report = quality.report({ answered: 3, lost: 1 })
  assert.equal(report.roundTrips.length, maxRoundTrips)
  assert.equal(report.roundTrips.at(-1)?.at, 99)
  assert.ok(report.roundTripMs && report.roundTripMs > 45 && report.roundTripMs < 55)
  assert.ok(report.jitterMs && report.jitterMs > 5 && report.jitterMs < 15)
  assert.equal(report.lossRate, 0.25)
})
