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
import * as cast from './cast.ts'
import { forgeFrom, wireOf } from './forge.ts'

const { crypto } = cast
const toHost = { identity: cast.anna, recipientKey: cast.hostSealing.publicKey }
const hostKeys = { identity: cast.host.publicKey, keyPairs: [cast.hostSealing] }
const good = writeLetter(crypto, cast.request, toHost)

test('a letter of any kind goes through the text of a mail', () => {
  fc.assert(
    fc.property(some.letter, (drawn) => {
      const letter: Letter = { ...drawn, from: cast.anna.publicKey, to: cast.host.publicKey }
      const read = readLetter(crypto, writeLetter(crypto, letter, toHost), hostKeys)
      assert.ok(read.ok)
      assert.deepEqual(read.letter, letter)
    }),
  )
})

test('each of several hosts reads its own letter out of one mail, and nobody else reads any', () => {
  const toOther = { identity: cast.anna, recipientKey: cast.benSession.publicKey }
  const forOther = { ...cast.request, to: cast.otherHost.publicKey }
  const text = armorLetter(
    crypto,
    sealLetter(crypto, forOther, toOther),
    sealLetter(crypto, cast.request, toHost),
  )
  const read = (keys: OpeningKeys) => {
    const opened = readLetter(crypto, text, keys)
    return opened.ok ? opened.letter : opened.refusal
  }
  assert.deepEqual(read(hostKeys), cast.request)
  assert.deepEqual(read({ identity: cast.otherHost.publicKey, keyPairs: [cast.benSession] }), forOther)
  assert.equal(read({ identity: cast.host.publicKey, keyPairs: [cast.annaSession] }), 'wrong-key')
})

function armoredForgery(change: Record<string, unknown>): string {
  return armorLetter(crypto, forgeFrom({ ...wireOf(cast.request), ...change }))
}

function newerArmor(): string {
  const prefix = Uint8Array.of(9, 0, 0)
  const bytes = concatBytes(prefix, crypto.hash(prefix, 16).subarray(0, 5))
  return `[peerpost letter begins]${toBase32(bytes)}[peerpost letter ends]`
}

/** `bad-mail` is the mail reader's to find. */
const examples: readonly [Exclude<Refusal, 'bad-mail'>, name: string, text: string][] = [
  ['too-big', 'a mail longer than any letter', `${good}${' '.repeat(200_000)}`],
  ['no-letter', 'a mail from a person', 'Hello!'],
  ['several-letters', 'two letters in one mail', good + good],
  ['mangled', 'a letter whose end is lost', good.slice(0, -100)],
  ['unknown-version', 'armor of a later version', newerArmor()],
  ['unknown-version', 'a body of a later version', armoredForgery({ v: 2 })],
  [
    'wrong-key',
    'a letter to another key',
    writeLetter(crypto, cast.request, { ...toHost, recipientKey: cast.benSession.publicKey }),
  ],
  ['malformed', 'a letter of no known kind', armoredForgery({ kind: 'gift' })],
  ['unsigned', 'a letter in the name of another', armoredForgery({ from: cast.ben.publicKey })],
  ['misdirected', 'a letter to another host', armoredForgery({ to: cast.otherHost.publicKey })],
]

for (const [refusal, name, text] of examples) {
  test(`${name} is refused as ${refusal}`, () => {
    assert.deepEqual(readLetter(crypto, text, hostKeys), { ok: false, refusal })
  })
}

test('no byte of the mail can be changed so that another letter is read', () => {
  fc.assert(
    fc.property(some.mutation, (mutation) => {
      const text = Buffer.from(some.mutate(Buffer.from(good), mutation)).toString('latin1')
      const read = readLetter(crypto, text, hostKeys)
      if (read.ok) assert.deepEqual(read.letter, cast.request)
    }),
    { numRuns: 1000 },
  )
})
