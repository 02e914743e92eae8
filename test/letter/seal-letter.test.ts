import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, toHex } from '../../src/base/bytes.ts'
import type { Crypto } from '../../src/base/crypto.ts'
import { Problem } from '../../src/base/problem.ts'
import { encodeLetter } from '../../src/letter/letter-codec.ts'
import type { Letter, Statement } from '../../src/letter/letter-types.ts'
import { limits, paddingStepsBytes } from '../../src/letter/limits.ts'
import { openLetter, sealLetter } from '../../src/letter/seal-letter.ts'
import { signLetter, verifyStatement } from '../../src/letter/signature.ts'
import * as some from './arbitraries.ts'
import * as fixtures from './fixtures.ts'
import { forgeFrom, forgeSealed, forgeSigned, wireOf } from './forged-letters.ts'
import { goldenSealed } from './golden.ts'

const { crypto } = fixtures
const toHost = { identity: fixtures.anna, recipientKey: fixtures.hostSealing.publicKey }
const hostKeys = { identity: fixtures.host.publicKey, keyPairs: [fixtures.hostSealing] }

function sealedRequest(): Uint8Array {
  return sealLetter(crypto, fixtures.request, toHost)
}

function refusalOf(sealed: Uint8Array) {
  const opened = openLetter(crypto, sealed, hostKeys)
  return opened.ok ? 'opened' : opened.refusal
}

for (const [kind, letter] of Object.entries<Letter>(fixtures.letters)) {
  test(`a sealed ${kind} letter opens for its recipient, with its signed bytes`, () => {
    const sender = fixtures.identityOf(letter)
    const box = fixtures.annaSession
    const sealed = sealLetter(crypto, letter, { identity: sender, recipientKey: box.publicKey })
    assert.deepEqual(openLetter(crypto, sealed, { identity: letter.to, keyPairs: [box] }), {
      ok: true,
      letter,
      signed: signLetter(crypto, letter, sender),
      keyPair: box,
    })
  })
}

test('a letter sealed by an earlier release still opens', () => {
  const opened = openLetter(crypto, Uint8Array.from(Buffer.from(goldenSealed, 'hex')), hostKeys)
  assert.ok(opened.ok)
  assert.deepEqual(opened.letter, fixtures.request)
})

test('the right one of several key pairs opens the letter and is returned', () => {
  const keyPairs = [fixtures.annaSession, fixtures.benSession, fixtures.hostSealing]
  const opened = openLetter(crypto, sealedRequest(), { ...hostKeys, keyPairs })
  assert.ok(opened.ok)
  assert.equal(opened.keyPair, fixtures.hostSealing)
})

test('a letter opens only with the key of its recipient, not even with its sender’s', () => {
  const others = [fixtures.annaSession, fixtures.benSession, crypto.boxKeyPair()]
  const opened = openLetter(crypto, sealedRequest(), { ...hostKeys, keyPairs: others })
  assert.deepEqual(opened, { ok: false, refusal: 'wrong-key' })
})

test('only the first few key pairs are tried', () => {
  let tries = 0
  const counting: Crypto = {
    ...crypto,
    openSealed: (sealed, pair) => {
      tries += 1
      return crypto.openSealed(sealed, pair)
    },
  }
  const keyPairs = [...Array(20).fill(fixtures.benSession), fixtures.hostSealing]
  assert.deepEqual(openLetter(counting, sealedRequest(), { ...hostKeys, keyPairs }), {
    ok: false,
    refusal: 'wrong-key',
  })
  assert.equal(tries, limits.keyPairsTried)
  assert.equal(openLetter(crypto, sealedRequest(), { ...hostKeys, keyPairs: [] }).ok, false)
})

test('a sealed letter has one of a few lengths', () => {
  const lengths = new Set(paddingStepsBytes.map((step) => step + limits.sealedBytes - limits.openedBytes))
  fc.assert(
    fc.property(some.letter, (written) => {
      const letter = { ...written, from: fixtures.anna.publicKey }
      assert.ok(lengths.has(sealLetter(crypto, letter, toHost).length))
    }),
  )
})

function filled(length: number): Statement {
  return { signed: new Uint8Array(length), flagged: true, ageMs: 0 }
}

test('content of any length up to the largest body can be sealed and opened', () => {
  const sizes = paddingStepsBytes.flatMap((step) => [step - 67, step - 66, step - 65]).slice(0, -2)
  const overhead = encodeLetter({ ...fixtures.letters.table, statements: [] }).length
  for (const size of sizes) {
    // Statements of up to 2 KiB fill the letter; the last is fitted to the byte.
    const statements: Statement[] = []
    let left = size - overhead
    while (left > 2100) {
      statements.push(filled(1500))
      left -= encodeLetter({ ...fixtures.letters.table, statements: statements.slice(-1) }).length - overhead
    }
    const last =
      left -
      (encodeLetter({
        ...fixtures.letters.table,
        statements: [filled(300)],
      }).length -
        overhead -
        300)
    statements.push(filled(last))
    const letter: Letter = {
      ...fixtures.letters.table,
      from: fixtures.anna.publicKey,
      to: fixtures.host.publicKey,
      statements,
    }
    assert.equal(encodeLetter(letter).length, size)
    const opened = openLetter(crypto, sealLetter(crypto, letter, toHost), hostKeys)
    assert.ok(opened.ok)
    assert.deepEqual(opened.letter, letter)
  }
  assert.equal(sizes.at(-1), limits.bodyBytes)
})

test('a letter larger than the largest body is not written', () => {
  const statements = Array(16).fill(filled(1100))
  const letter: Letter = { ...fixtures.letters.table, from: fixtures.anna.publicKey, statements }
  assert.throws(() => sealLetter(crypto, letter, toHost), Problem)
})

test('a letter is not signed for another sender', () => {
  assert.throws(() => sealLetter(crypto, fixtures.request, { ...toHost, identity: fixtures.ben }), Problem)
})

test('no changed sealed letter opens', () => {
  const sealed = sealedRequest()
  fc.assert(
    fc.property(some.mutation, (mutation) => {
      assert.equal(refusalOf(some.mutate(sealed, mutation)), 'wrong-key')
    }),
    { numRuns: 500 },
  )
})

test('random bytes of any length are sealed for somebody else', () => {
  fc.assert(
    fc.property(some.bytes(0, 2000), (random) => {
      assert.equal(refusalOf(random), 'wrong-key')
    }),
  )
})

test('no change of the signed bytes is accepted, even if it is sealed correctly', () => {
  const signed = signLetter(crypto, fixtures.request, fixtures.anna)
  fc.assert(
    fc.property(some.mutation, (mutation) => {
      const altered = some.mutate(signed, mutation)
      const padded = crypto.pad(altered, 1024)
      const refusal = refusalOf(crypto.seal(padded, fixtures.hostSealing.publicKey))
      assert.notEqual(refusal, 'opened')
      assert.equal(verifyStatement(crypto, altered).ok, false)
    }),
    { numRuns: 1000 },
  )
})

test('random signed bytes never throw', () => {
  fc.assert(
    fc.property(some.bytes(0, 1023), (random) => {
      const sealed = crypto.seal(crypto.pad(random, 1024), fixtures.hostSealing.publicKey)
      assert.equal(refusalOf(sealed), 'malformed')
    }),
  )
})

test('a letter that is too big is refused before any key is tried', () => {
  const idle: Crypto = {
    ...crypto,
    openSealed: () => assert.fail('the key was tried'),
  }
  const result = openLetter(idle, new Uint8Array(limits.sealedBytes + 1), hostKeys)
  assert.deepEqual(result, { ok: false, refusal: 'too-big' })
})

test('a letter that was not padded to a step is malformed', () => {
  const signed = forgeSigned(encodeLetter(fixtures.letters.leave), fixtures.anna)
  for (const padded of [signed, crypto.pad(signed, 16), crypto.pad(signed, 3072), new Uint8Array(1024)]) {
    assert.equal(refusalOf(crypto.seal(padded, fixtures.hostSealing.publicKey)), 'malformed')
  }
})

test('a letter with bytes between body and signature, or none at all, is malformed', () => {
  const signed = forgeSigned(encodeLetter(fixtures.letters.leave), fixtures.anna)
  const longer = concatBytes(signed, Uint8Array.of(0))
  for (const bytes of [longer, signed.subarray(1), signed.subarray(0, 65), new Uint8Array(0)]) {
    assert.equal(refusalOf(crypto.seal(crypto.pad(bytes, 1024), fixtures.hostSealing.publicKey)), 'malformed')
  }
})

test('a letter that its recipient seals again for another reader is misdirected', () => {
  const opened = openLetter(crypto, sealedRequest(), hostKeys)
  assert.ok(opened.ok)
  const passedOn = crypto.seal(crypto.pad(opened.signed, 1024), fixtures.benSession.publicKey)
  const result = openLetter(crypto, passedOn, {
    identity: fixtures.ben.publicKey,
    keyPairs: [fixtures.benSession],
  })
  assert.deepEqual(result, { ok: false, refusal: 'misdirected' })
})

test('a letter that is sent back to its sender is misdirected', () => {
  const sealed = sealLetter(crypto, fixtures.request, {
    ...toHost,
    recipientKey: fixtures.annaSession.publicKey,
  })
  const result = openLetter(crypto, sealed, {
    identity: fixtures.anna.publicKey,
    keyPairs: [fixtures.annaSession],
  })
  assert.deepEqual(result, { ok: false, refusal: 'misdirected' })
})

test('a letter signed by another key than its sender’s is unsigned', () => {
  assert.equal(refusalOf(forgeFrom(wireOf(fixtures.request), fixtures.ben)), 'unsigned')
})

test('a signature without the domain prefix is not valid', () => {
  const body = encodeLetter(fixtures.request)
  const bare = concatBytes(
    Uint8Array.of(body.length >> 8, body.length & 0xff),
    body,
    crypto.sign(body, fixtures.anna.secretKey),
  )
  assert.equal(refusalOf(crypto.seal(crypto.pad(bare, 1024), fixtures.hostSealing.publicKey)), 'unsigned')
})

test('a letter from a key of small order is unsigned', () => {
  const wire = { ...wireOf(fixtures.letters.leave), from: new Uint8Array(32) }
  assert.equal(refusalOf(forgeFrom(wire)), 'unsigned')
})

test('a letter forged without a fault opens, so the other forgeries fail because of their fault', () => {
  assert.equal(refusalOf(forgeSealed(encodeLetter(fixtures.request))), 'opened')
})

test('a statement is checked without its seal', () => {
  const signed = signLetter(crypto, fixtures.request, fixtures.anna)
  assert.deepEqual(verifyStatement(crypto, signed), { ok: true, letter: fixtures.request })
  const leave = signLetter(crypto, fixtures.letters.leave, fixtures.anna)
  assert.deepEqual(verifyStatement(crypto, leave), { ok: true, letter: fixtures.letters.leave })
  const cases = [
    ['unsigned', forgeSigned(encodeLetter(fixtures.request), fixtures.ben)],
    ['malformed', signLetter(crypto, fixtures.letters.failure, fixtures.anna)],
    ['malformed', new Uint8Array(0)],
    ['too-big', new Uint8Array(limits.signedRequestBytes + 1)],
  ] as const
  for (const [refusal, bytes] of cases) {
    assert.deepEqual(verifyStatement(crypto, bytes), { ok: false, refusal })
  }
})

test('one letter sealed twice gives different bytes', () => {
  assert.notEqual(toHex(sealedRequest()).slice(0, 64), toHex(sealedRequest()).slice(0, 64))
})
