// The order in which peers are tried (A6).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { choosePeers, isAllowed } from '../../src/agent/peers/peer-ranking.ts'
import { toHex } from '../../src/base/bytes.ts'
import { unknownNat } from '../../src/base/nat-profile.ts'
import type { OfferedPeer } from '../../src/letter/letter-types.ts'

type Facts = { readonly number: number; readonly flagged: boolean; readonly ageMs: number }

function idOf(number: number): Uint8Array {
  return new Uint8Array(32).fill(number)
}

function peer({ number, flagged, ageMs }: Facts): OfferedPeer {
  return {
    id: idOf(number),
    nickname: `peer ${number}`,
    session: { id: new Uint8Array(16), publicKey: new Uint8Array(32) },
    candidates: [],
    nat: unknownNat,
    sameNat: false,
    flagged,
    ageMs,
  }
}

const self = idOf(255)
const noPreferences = { friends: new Set<string>(), blocked: new Set<string>() }
const numbersOf = (peers: readonly OfferedPeer[]) => peers.map(({ id }) => id[0])

const facts = fc.record({
  number: fc.integer({ min: 0, max: 255 }),
  flagged: fc.boolean(),
  ageMs: fc.integer({ min: 0, max: 10 }),
})
const offers = fc.uniqueArray(facts, { selector: ({ number }) => number, maxLength: 16 })
const someIds = fc.uniqueArray(fc.integer({ min: 0, max: 255 }), { maxLength: 100 })
const idsOf = (numbers: readonly number[]) => new Set(numbers.map((number) => toHex(idOf(number))))

test('the most recent peer comes first, flagged peers after the others, friends before all', () => {
  const offered = [
    peer({ number: 1, flagged: false, ageMs: 900 }),
    peer({ number: 2, flagged: true, ageMs: 10 }),
    peer({ number: 3, flagged: false, ageMs: 100 }),
    peer({ number: 4, flagged: false, ageMs: 5_000 }),
    peer({ number: 5, flagged: true, ageMs: 1 }),
  ]
  assert.deepEqual(numbersOf(choosePeers(offered, self, noPreferences)), [3, 1, 4, 5, 2])
  const friends = idsOf([2, 4])
  assert.deepEqual(numbersOf(choosePeers(offered, self, { ...noPreferences, friends })), [4, 2, 3, 1, 5])
})

test('each offered peer is chosen once, but never a blocked one or ourselves', () => {
  fc.assert(
    fc.property(offers, someIds, someIds, (some, friends, blocked) => {
      const preferences = { friends: idsOf(friends), blocked: idsOf(blocked) }
      const chosen = choosePeers(some.map(peer), self, preferences)
      const expected = some.map(({ number }) => number).filter((n) => n !== 255 && !blocked.includes(n))
      assert.deepEqual(numbersOf(chosen).sort(), expected.sort())
      assert.ok(chosen.every(({ id }) => isAllowed(id, self, preferences)))
    }),
  )
})

test('no peer comes before a better one', () => {
  fc.assert(
    fc.property(offers, someIds, (some, friends) => {
      const chosen = choosePeers(some.map(peer), self, { ...noPreferences, friends: idsOf(friends) })
      const ranks = chosen.map(({ id, flagged, ageMs }) => [
        friends.includes(id[0] ?? -1) ? 0 : 1,
        flagged ? 1 : 0,
        ageMs,
      ])
      for (const [index, rank] of ranks.slice(1).entries()) {
        const before = ranks[index] ?? []
        const firstDifference = rank.findIndex((value, at) => value !== before[at])
        if (firstDifference < 0) continue
        assert.ok((before[firstDifference] ?? 0) < (rank[firstDifference] ?? 0))
      }
    }),
  )
})

test('a blocked friend is blocked', () => {
  const both = { friends: idsOf([1]), blocked: idsOf([1]) }
  assert.equal(isAllowed(idOf(1), self, both), false)
})
