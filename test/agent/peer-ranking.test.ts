// Whom to try first (A6).

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
const nobody = { friends: new Set<string>(), blocked: new Set<string>() }
const numbersOf = (peers: readonly OfferedPeer[]) => peers.map(({ id }) => id[0])

const facts = fc.record({
  number: fc.integer({ min: 0, max: 255 }),
  flagged: fc.boolean(),
  ageMs: fc.integer({ min: 0, max: 10 }),
})
const offers = fc.uniqueArray(facts, { selector: ({ number }) => number, maxLength: 16 })
const someIds = fc.uniqueArray(fc.integer({ min: 0, max: 255 }), { maxLength: 100 })
const idsOf = (numbers: readonly number[]) => new Set(numbers.map((number) => toHex(idOf(number))))

test('the most recent comes first, the flagged after the others, friends before all', () => {
  const offered = [
    peer({ number: 1, flagged: false, ageMs: 900 }),
    peer({ number: 2, flagged: true, ageMs: 10 }),
    peer({ number: 3, flagged: false, ageMs: 100 }),
    peer({ number: 4, flagged: false, ageMs: 5_000 }),
    peer({ number: 5, flagged: true, ageMs: 1 }),
  ]
  assert.deepEqual(numbersOf(choosePeers(offered, self, nobody)), [3, 1, 4, 5, 2])
  const friends = idsOf([2, 4])
  assert.deepEqual(numbersOf(choosePeers(offered, self, { ...nobody, friends })), [4, 2, 3, 1, 5])
})

test('everybody offered is chosen once, but the blocked and ourselves never', () => {
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

test('nobody stands before one who is a better choice', () => {
  fc.assert(
    fc.property(offers, someIds, (some, friends) => {
      const chosen = choosePeers(some.map(peer), self, { ...nobody, friends: idsOf(friends) })
      const merits = chosen.map(({ id, flagged, ageMs }) => [
        friends.includes(id[0] ?? -1) ? 0 : 1,
        flagged ? 1 : 0,
        ageMs,
      ])
      for (const [index, merit] of merits.slice(1).entries()) {
        const before = merits[index] ?? []
        const firstDifference = merit.findIndex((value, at) => value !== before[at])
        if (firstDifference < 0) continue
        assert.ok((before[firstDifference] ?? 0) < (merit[firstDifference] ?? 0))
      }
    }),
  )
})

test('a blocked friend is blocked', () => {
  const both = { friends: idsOf([1]), blocked: idsOf([1]) }
  assert.equal(isAllowed(idOf(1), self, both), false)
})
