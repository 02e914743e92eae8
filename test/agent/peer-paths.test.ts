import assert from 'node:assert/strict'
import { test } from 'node:test'
import { candidatePathsTo, candidatesFor, linkKeepaliveMs } from '../../src/agent/peers/peer-paths.ts'
import type { Candidate, CandidateKind } from '../../src/base/endpoint.ts'
import { unknownNat } from '../../src/base/nat-profile.ts'

function candidate(kind: CandidateKind, address: string): Candidate {
  return { kind, endpoint: { address, port: 4000 } }
}

const lan = candidate('host', '192.168.1.5')
const six = candidate('host', '2a01::5')
const outside = candidate('server-reflexive', '11.0.2.1')

test('addresses inside the LAN are told to peers behind the same NAT alone', () => {
  const own = [lan, six, outside]
  const stranger = { sameNat: false, candidates: [candidate('server-reflexive', '11.0.2.2')] }
  assert.deepEqual(candidatesFor(own, stranger, false), [six, outside])
  assert.deepEqual(candidatesFor(own, { ...stranger, sameNat: true }, false), own)
  const neighbour = { sameNat: false, candidates: [candidate('server-reflexive', '11.0.2.1')] }
  assert.deepEqual(candidatesFor(own, neighbour, false), own)
  const liar = { sameNat: false, candidates: [candidate('host', '11.0.2.1')] }
  assert.deepEqual(candidatesFor(own, liar, false), [six, outside])
})

test('ways are the LAN, then IPv6, then the rest; what nobody may be sent to is left out', () => {
  const candidates = [
    outside,
    candidate('host', '127.0.0.1'),
    candidate('host', '224.0.0.1'),
    six,
    candidate('host', '192.168.1.6'),
  ]
  const ways = candidatePathsTo({ sameNat: false, candidates }, false)
  assert.deepEqual(
    ways.map(({ endpoint }) => endpoint.address),
    ['192.168.1.6', '2a01::5', '11.0.2.1'],
  )
  const many = Array.from({ length: 16 }, (_, n) => candidate('host', `192.168.1.${n + 1}`))
  assert.equal(candidatePathsTo({ sameNat: true, candidates: many }, false).length, 4)
})

test('a link pings every 8 s, or sooner than any NAT known forgets', () => {
  const living = (lifetimeMs: number) => ({ ...unknownNat, lifetimeMs })
  assert.equal(linkKeepaliveMs([unknownNat, unknownNat], Infinity), 8_000)
  assert.equal(linkKeepaliveMs([living(60_000), unknownNat], 30_000), 8_000)
  assert.equal(linkKeepaliveMs([living(60_000), living(5_000)], 8_000), 4_000)
  assert.equal(linkKeepaliveMs([unknownNat], 3_000), 3_000)
  assert.equal(linkKeepaliveMs([living(10)], 8_000), 2_000)
})
