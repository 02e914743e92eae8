import assert from 'node:assert/strict'
import { test } from 'node:test'
import { candidatePathsTo, candidatesFor, linkKeepaliveMs } from '../../src/agent/peers/peer-paths.ts'
import type { Candidate, CandidateKind } from '../../src/base/endpoint.ts'
import { unknownNat } from '../../src/base/nat-profile.ts'

function candidate(kind: CandidateKind, address: string): Candidate {
  return { kind, endpoint: { address, port: 4000 } }
}

const lan = candidate('host', '192.168.1.5')
const ipv6 = candidate('host', '2a01::5')
const outside = candidate('server-reflexive', '11.0.2.1')

test('LAN addresses are announced only to peers behind the same NAT', () => {
  const own = [lan, ipv6, outside]
  const otherPeer = { sameNat: false, candidates: [candidate('server-reflexive', '11.0.2.2')] }
  assert.deepEqual(candidatesFor(own, otherPeer, false), [ipv6, outside])
  assert.deepEqual(candidatesFor(own, { ...otherPeer, sameNat: true }, false), own)
  const sameNatPeer = { sameNat: false, candidates: [candidate('server-reflexive', '11.0.2.1')] }
  assert.deepEqual(candidatesFor(own, sameNatPeer, false), own)
  const lyingPeer = { sameNat: false, candidates: [candidate('host', '11.0.2.1')] }
  assert.deepEqual(candidatesFor(own, lyingPeer, false), [ipv6, outside])
})

test('paths are the LAN first, then IPv6, then the rest, without addresses that must not be used', () => {
  const candidates = [
    outside,
    candidate('host', '127.0.0.1'),
    candidate('host', '224.0.0.1'),
    ipv6,
    candidate('host', '192.168.1.6'),
  ]
  const paths = candidatePathsTo({ sameNat: false, candidates }, false)
  assert.deepEqual(
    paths.map(({ endpoint }) => endpoint.address),
    ['192.168.1.6', '2a01::5', '11.0.2.1'],
  )
  const many = Array.from({ length: 16 }, (_, n) => candidate('host', `192.168.1.${n + 1}`))
  assert.equal(candidatePathsTo({ sameNat: true, candidates: many }, false).length, 4)
})

test('a link pings every 8 s, or more often when a known NAT mapping expires sooner', () => {
  const natWithLifetime = (lifetimeMs: number) => ({ ...unknownNat, lifetimeMs })
  assert.equal(linkKeepaliveMs([unknownNat, unknownNat], Infinity), 8_000)
  assert.equal(linkKeepaliveMs([natWithLifetime(60_000), unknownNat], 30_000), 8_000)
  assert.equal(linkKeepaliveMs([natWithLifetime(60_000), natWithLifetime(5_000)], 8_000), 4_000)
  assert.equal(linkKeepaliveMs([unknownNat], 3_000), 3_000)
  assert.equal(linkKeepaliveMs([natWithLifetime(10)], 8_000), 2_000)
})
