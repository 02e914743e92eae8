import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes } from '../../src/base/bytes.ts'
import { armorLetter } from '../../src/letter/armor.ts'
import { toBase32 } from '../../src/letter/base32.ts'
import type { Letter } from '../../src/letter/letter-types.ts'
import { readLetter, writeLetter } from '../../src/letter/mail-text.ts'
import type { Refusal } from '../../src/letter/refusal.ts'
import { type OpeningKeys, sealLetter } from '../../src/letter/seal-letter.ts'
import * as some from './arbitraries.ts'
import * as fixtures from './fixtures.ts'
import { forgeFrom, wireOf } from './forged-letters.ts'

const { crypto } = fixtures
const toHost = { identity: fixtures.anna, recipientKey: fixtures.hostSealing.publicKey }
const hostKeys = { identity: fixtures.host.publicKey, keyPairs: [fixtures.hostSealing] }
const valid = writeLetter(crypto, fixtures.request, toHost)

test('a letter of any kind is read from the text of a mail as it was written', () => {
  fc.assert(
    fc.property(some.letter, (drawn) => {
      const letter: Letter = { ...drawn, from: fixtures.anna.publicKey, to: fixtures.host.publicKey }
      const read = readLetter(crypto, writeLetter(crypto, letter, toHost), hostKeys)
      assert.ok(read.ok)
      assert.deepEqual(read.letter, letter)
    }),
  )
})

test('each of several hosts reads only its own letter in one mail', () => {
  const toOther = { identity: fixtures.anna, recipientKey: fixtures.benSession.publicKey }
  const forOther = { ...fixtures.request, to: fixtures.otherHost.publicKey }
  const text = armorLetter(
    crypto,
    sealLetter(crypto, forOther, toOther),
    sealLetter(crypto, fixtures.request, toHost),
  )
  const read = (keys: OpeningKeys) => {
    const opened = readLetter(crypto, text, keys)
    return opened.ok ? opened.letter : opened.refusal
  }
  assert.deepEqual(read(hostKeys), fixtures.request)
  assert.deepEqual(
    read({ identity: fixtures.otherHost.publicKey, keyPairs: [fixtures.benSession] }),
    forOther,
  )
  assert.equal(read({ identity: fixtures.host.publicKey, keyPairs: [fixtures.annaSession] }), 'wrong-key')
})

function armoredForgery(change: Record<string, unknown>): string {
  return armorLetter(crypto, forgeFrom({ ...wireOf(fixtures.request), ...change }))
}

function newerArmor(): string {
  const prefix = Uint8Array.of(9, 0, 0)
  const bytes = concatBytes(prefix, crypto.hash(prefix, 16).subarray(0, 5))
  return `[peerpost letter begins]${toBase32(bytes)}[peerpost letter ends]`
}

/** Only the mail parser reports `bad-mail`. */
const examples: readonly [Exclude<Refusal, 'bad-mail'>, name: string, text: string][] = [
  ['too-big', 'a mail longer than any letter', `${valid}${' '.repeat(200_000)}`],
  ['no-letter', 'a mail from a person', 'Hello!'],
  ['several-letters', 'two letters in one mail', valid + valid],
  ['mangled', 'a letter whose end is lost', valid.slice(0, -100)],
  ['unknown-version', 'armor of a later version', newerArmor()],
  ['unknown-version', 'a body of a later version', armoredForgery({ v: 2 })],
  [
    'wrong-key',
    'a letter to another key',
    writeLetter(crypto, fixtures.request, { ...toHost, recipientKey: fixtures.benSession.publicKey }),
  ],
  ['malformed', 'a letter of no known kind', armoredForgery({ kind: 'gift' })],
  ['unsigned', 'a letter in the name of another', armoredForgery({ from: fixtures.ben.publicKey })],
  ['misdirected', 'a letter to another host', armoredForgery({ to: fixtures.otherHost.publicKey })],
]

for (const [refusal, name, text] of examples) {
  test(`${name} is refused as ${refusal}`, () => {
    assert.deepEqual(readLetter(crypto, text, hostKeys), { ok: false, refusal })
  })
}

test('no changed byte in the mail yields another letter', () => {
  fc.assert(
    fc.property(some.mutation, (mutation) => {
      const text = Buffer.from(some.mutate(Buffer.from(valid), mutation)).toString('latin1')
      const read = readLetter(crypto, text, hostKeys)
      if (read.ok) assert.deepEqual(read.letter, fixtures.request)
    }),
    { numRuns: 1000 },
  )
})
