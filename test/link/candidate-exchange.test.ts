import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/base/bytes.ts'
import { type Candidate, canonicalAddress } from '../../src/base/endpoint.ts'
import {
  CandidateAnnouncements,
  decodeCandidates,
  encodeCandidates,
  maxCandidates,
} from '../../src/link/candidate-exchange.ts'

const address = fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => canonicalAddress(text) ?? '1.2.3.4')
const kind = fc.constantFrom('host', 'server-reflexive', 'peer-reflexive', 'port-mapped', 'predicted')
const candidate: fc.Arbitrary<Candidate> = fc
  .tuple(kind, address, fc.integer({ min: 1, max: 65_535 }))
  .map(([kind, address, port]) => ({ kind, endpoint: { address, port } }))
const number = fc.integer({ min: 1, max: 0xffffffff })

test('a list has the documented byte layout', () => {
  const candidates: Candidate[] = [
    { kind: 'host', endpoint: { address: '192.168.1.5', port: 4000 } },
    { kind: 'server-reflexive', endpoint: { address: '2a01::5', port: 4000 } },
  ]
  const body = encodeCandidates({ number: 7, candidates })
  assert.equal(toHex(body), `00000007${'0106c0a801050fa0'}${'02122a0100000000000000000000000000050fa0'}`)
})

test('the peer decodes the first sixteen candidates of a list as they were encoded', () => {
  fc.assert(
    fc.property(number, fc.array(candidate, { maxLength: 20 }), (number, candidates) => {
      const decoded = decodeCandidates(encodeCandidates({ number, candidates }))
      assert.deepEqual(decoded, { number, candidates: candidates.slice(0, maxCandidates) })
    }),
  )
})

test('any bytes decode to a list of at most sixteen candidates, or to nothing', () => {
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 500 }),
    fc
      .tuple(fc.array(candidate, { maxLength: 16 }), fc.nat(400), fc.nat(255))
      .map(([candidates, at, byte]) => {
        const bytes = encodeCandidates({ number: 1, candidates })
        bytes[at % bytes.length] = byte
        return bytes
      }),
  )
  fc.assert(
    fc.property(body, (bytes) => {
      const list = decodeCandidates(bytes)
      assert.ok(list === null || list.candidates.length <= maxCandidates)
    }),
    { numRuns: 2_000 },
  )
})

test('a list is repeated at growing intervals until it is acknowledged, at most twelve times', () => {
  const announcements = new CandidateAnnouncements()
  assert.equal(announcements.dueAt(), Infinity)
  announcements.announce(0, [])
  let sends = 0
  for (let due = announcements.dueAt(); due !== Infinity; due = announcements.dueAt()) {
    assert.ok(announcements.nextBody(due))
    sends++
  }
  assert.equal(sends, 12)
  announcements.announce(0, [])
  const body = announcements.nextBody(0)
  assert.ok(body)
  announcements.handleAcknowledgement(Uint8Array.of(0, 0, 0, 1))
  assert.notEqual(announcements.dueAt(), Infinity, 'an acknowledgement of an older list')
  announcements.handleAcknowledgement(body.slice(0, 4))
  assert.equal(announcements.dueAt(), Infinity)
})

test('a list that is not newer than the last one is acknowledged but has no effect', () => {
  const announcements = new CandidateAnnouncements()
  const list = (number: number) => encodeCandidates({ number, candidates: [] })
  assert.deepEqual(announcements.handleList(list(2))?.candidates, [])
  for (const old of [1, 2]) {
    assert.deepEqual(announcements.handleList(list(old)), { acknowledgement: list(old), candidates: null })
  }
  assert.deepEqual(announcements.handleList(list(3))?.candidates, [])
})
