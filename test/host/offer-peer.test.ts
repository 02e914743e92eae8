import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Candidate } from '../../src/base/endpoint.ts'
import { areBehindSameNat, offerPeer } from '../../src/host/requests/offer-peer.ts'
import { newEntry } from '../store/entries.ts'

const prefix = { 4: 32, 6: 64 } as const

function candidate(kind: Candidate['kind'], address: string, port = 1000): Candidate {
  return { kind, endpoint: { address, port } }
}
const reflexive = (address: string) => candidate('server-reflexive', address)
const host = (address: string) => candidate('host', address)

const pairs: readonly [string, readonly Candidate[], readonly Candidate[], boolean][] = [
  ['one public address', [reflexive('203.0.113.7')], [reflexive('203.0.113.7')], true],
  ['adjacent public addresses', [reflexive('203.0.113.7')], [reflexive('203.0.113.8')], false],
  ['no public address at all', [host('192.168.1.2')], [host('192.168.1.3')], false],
  ['the same private address behind two NATs', [host('192.168.1.2')], [host('192.168.1.2')], false],
  ['one IPv6 network without NAT', [host('2001:db8:1:2::a')], [host('2001:db8:1:2::b')], false],
  ['one global IPv6 network', [host('2a00:1:2:3::a')], [host('2a00:1:2:3::b')], true],
  ['two global IPv6 networks', [host('2a00:1:2:3::a')], [host('2a00:1:2:4::a')], false],
  [
    'a server-reflexive address beats a public host address',
    [reflexive('203.0.113.7'), host('8.8.8.8')],
    [host('8.8.8.8')],
    false,
  ],
  [
    'a third claimed address',
    ['1.1.1.1', '1.1.1.2', '1.1.1.3'].map(reflexive),
    [reflexive('1.1.1.3')],
    false,
  ],
  ['the second of two addresses', ['1.1.1.1', '1.1.1.3'].map(reflexive), [reflexive('1.1.1.3')], true],
]
for (const [name, mine, theirs, expected] of pairs) {
  test(`two agents with ${name} are ${expected ? '' : 'not '}behind the same NAT`, () => {
    assert.equal(areBehindSameNat(mine, theirs, prefix), expected)
    assert.equal(areBehindSameNat(theirs, mine, prefix), expected)
  })
}

test('masked low-order bits make one NAT of several addresses', () => {
  const wide = { 4: 24, 6: 48 } as const
  assert.ok(areBehindSameNat([reflexive('203.0.113.7')], [reflexive('203.0.113.200')], wide))
  assert.ok(!areBehindSameNat([reflexive('203.0.113.7')], [reflexive('203.0.114.7')], wide))
})

const peer = {
  ...newEntry(1, 5, {
    candidates: [host('192.168.1.2'), reflexive('203.0.113.7'), candidate('port-mapped', '203.0.113.7', 9)],
  }),
  flagged: true,
  acceptedAt: 40,
}

test('host candidates travel only behind the same NAT', () => {
  const far = offerPeer(peer, { candidates: [reflexive('198.51.100.1')] }, prefix, 100)
  assert.equal(far.sameNat, false)
  assert.deepEqual(far.candidates, [reflexive('203.0.113.7'), candidate('port-mapped', '203.0.113.7', 9)])
  const near = offerPeer(peer, { candidates: [reflexive('203.0.113.7')] }, prefix, 100)
  assert.equal(near.sameNat, true)
  assert.deepEqual(near.candidates, peer.candidates)
})

test('a public host address stands in for a server-reflexive one that is not there', () => {
  const direct = { ...peer, candidates: [host('8.8.8.8'), host('10.0.0.1')] }
  const far = offerPeer(direct, { candidates: [reflexive('198.51.100.1')] }, prefix, 100)
  assert.deepEqual(far.candidates, [reflexive('8.8.8.8')])
})

test('TCP candidates are offered unchanged, except private addresses, which stay behind the NAT', () => {
  const tcpCandidates = [
    host('192.168.1.2'),
    host('8.8.8.8'),
    reflexive('203.0.113.7'),
    candidate('port-mapped', '203.0.113.7', 9),
  ]
  const direct = { ...peer, tcpCandidates }
  const far = offerPeer(direct, { candidates: [reflexive('198.51.100.1')] }, prefix, 100)
  assert.deepEqual(far.tcpCandidates, tcpCandidates.slice(1))
  const near = offerPeer(direct, { candidates: [reflexive('203.0.113.7')] }, prefix, 100)
  assert.deepEqual(near.tcpCandidates, tcpCandidates)
})

test('two agents whose UDP is blocked are behind the same NAT by their TCP candidates', () => {
  const blocked = (address: string) => ({
    candidates: [host(address)],
    tcpCandidates: [reflexive('203.0.113.7')],
  })
  const one = { ...peer, ...blocked('192.168.1.2') }
  assert.equal(offerPeer(one, blocked('192.168.1.3'), prefix, 100).sameNat, true)
})

test('an offered peer has no mail address in it and nothing that is not declared', () => {
  const offered = offerPeer(peer, { candidates: [] }, prefix, 100)
  assert.deepEqual(Object.keys(offered).sort(), [
    'ageMs',
    'candidates',
    'flagged',
    'id',
    'nat',
    'nickname',
    'sameNat',
    'session',
  ])
  assert.ok(!JSON.stringify(offered).includes('@'))
  assert.equal(offered.ageMs, 60)
  assert.equal(offered.flagged, true)
})

test('an age is never negative, even after the clock was set back', () => {
  assert.equal(offerPeer(peer, { candidates: [] }, prefix, 0).ageMs, 0)
})
