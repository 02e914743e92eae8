import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Problem } from '../../src/base/problem.ts'
import { type HostCard, readHostCard, writeHostCard } from '../../src/letter/host-card.ts'
import * as some from './arbitraries.ts'
import { crypto, host, hostSealing, roomSecret } from './fixtures.ts'

const bare: HostCard = {
  host: { address: 'meet@example.org', identity: host.publicKey, sealingKey: hostSealing.publicKey },
  room: null,
}
const withRoom: HostCard = {
  ...bare,
  room: { name: 'Friends', secret: roomSecret, stunServers: ['stun.example.org:3478'], subject: 'a game' },
}
const ofWorker: HostCard = {
  ...withRoom,
  front: {
    representative: { ...bare.host, address: 'front@example.org' },
    identitySeed: new Uint8Array(32).fill(10),
    sealingSeed: new Uint8Array(32).fill(11),
  },
}

test('a card is read as it was written, with or without room and shared keys, however it is pasted', () => {
  for (const card of [bare, withRoom, ofWorker]) {
    const word = writeHostCard(crypto, card)
    assert.match(word, /^peerposthost1[a-z2-7]+$/)
    const broken = word.replace(/.{40}/g, '$&\n> ')
    for (const text of [word, word.toUpperCase(), `here it is: "${word}".`, broken]) {
      assert.deepEqual(readHostCard(crypto, text), { ok: true, card })
    }
  }
})

test('a faulty card is refused with its fault', () => {
  const word = writeHostCard(crypto, bare)
  const fault = (text: string) => {
    const read = readHostCard(crypto, text)
    return read.ok ? 'read' : read.fault
  }
  assert.equal(fault('hello'), 'not-a-card')
  assert.equal(fault('peerposthost2abcdefg'), 'unknown-version')
  assert.equal(fault(word.slice(0, -8)), 'incomplete')
  assert.equal(fault(word.slice(0, 40) + (word[40] === 'a' ? 'b' : 'a') + word.slice(41)), 'typo')
  assert.equal(fault('peerposthost1'.repeat(10_000)), 'not-a-card')
})

test('reading a card never throws, and no changed character yields another card', () => {
  const word = writeHostCard(crypto, withRoom)
  fc.assert(
    fc.property(some.mutation, (mutation) => {
      const text = Buffer.from(some.mutate(Buffer.from(word), mutation)).toString('latin1')
      const read = readHostCard(crypto, text)
      if (read.ok) assert.deepEqual(read.card, withRoom)
    }),
    { numRuns: 500 },
  )
})

test('a card with an invalid field is not written', () => {
  const odd = { ...bare, host: { ...bare.host, address: 'nobody' } }
  assert.throws(() => writeHostCard(crypto, odd), Problem)
})
