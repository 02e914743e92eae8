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
import * as cast from './cast.ts'
import { forgeFrom, forgeSealed, forgeSigned, wireOf } from './forge.ts'
import { goldenSealed } from './golden.ts'

const { crypto } = cast
const toHost = { identity: cast.anna, recipientKey: cast.hostSealing.publicKey }
const hostKeys = { identity: cast.host.publicKey, keyPairs: [cast.hostSealing] }

function sealedRequest(): Uint8Array {
  return sealLetter(crypto, cast.request, toHost)
}

function refusalOf(sealed: Uint8Array) {
  const opened = openLetter(crypto, sealed, hostKeys)
  return opened.ok ? 'opened' : opened.refusal
}

for (const [kind, letter] of Object.entries<Letter>(cast.letters)) {
  test(`a sealed ${kind} letter opens for its recipient, with what was signed`, () => {
    const sender = cast.identityOf(letter)
    const box = cast.annaSession
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
  assert.deepEqual(opened.letter, cast.request)
})

test('of several key pairs the right one opens the letter, and is named', () => {
  const keyPairs = [cast.annaSession, cast.benSession, cast.hostSealing]
  const opened = openLetter(crypto, sealedRequest(), { ...hostKeys, keyPairs })
  assert.ok(opened.ok)
  assert.equal(opened.keyPair, cast.hostSealing)
})

test('a letter that lies in a mailbox opens with no key but its recipient’s, not with its sender’s either', () => {
  const others = [cast.annaSession, cast.benSession, crypto.boxKeyPair()]
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
  const keyPairs = [...Array(20).fill(cast.benSession), cast.hostSealing]
  assert.deepEqual(openLetter(counting, sealedRequest(), { ...hostKeys, keyPairs }), {
    ok: false,
    refusal: 'wrong-key',
  })
  assert.equal(tries, limits.keyPairsTried)
  assert.equal(openLetter(crypto, sealedRequest(), { ...hostKeys, keyPairs: [] }).ok, false)
})

test('the length of a sealed letter is one of a few', () => {
  const lengths = new Set(paddingStepsBytes.map((step) => step + limits.sealedBytes - limits.openedBytes))
  fc.assert(
    fc.property(some.letter, (written) => {
      const letter = { ...written, from: cast.anna.publicKey }
      assert.ok(lengths.has(sealLetter(crypto, letter, toHost).length))
    }),
  )
})

function filled(length: number): Statement {
  return { signed: new Uint8Array(length), flagged: true, ageMs: 0 }
}

test('every length of content up to the largest body can be sealed and opened', () => {
  const sizes = paddingStepsBytes.flatMap((step) => [step - 67, step - 66, step - 65]).slice(0, -2)
  const overhead = encodeLetter({ ...cast.letters.table, statements: [] }).length
  for (const size of sizes) {
    // Statements of up to 2 KiB fill the letter; the last is fitted to the byte.
    const statements: Statement[] = []
    let left = size - overhead
    while (left > 2100) {
      statements.push(filled(1500))
      left -= encodeLetter({ ...cast.letters.table, statements: statements.slice(-1) }).length - overhead
    }
    const last =
      left -
      (encodeLetter({
        ...cast.letters.table,
        statements: [filled(300)],
      }).length -
        overhead -
        300)
    statements.push(filled(last))
    const letter: Letter = {
      ...cast.letters.table,
      from: cast.anna.publicKey,
      to: cast.host.publicKey,
      statements,
    }
    assert.equal(encodeLetter(letter).length, size)
    const opened = openLetter(crypto, sealLetter(crypto, letter, toHost), hostKeys)
    assert.ok(opened.ok)
    assert.deepEqual(opened.letter, letter)
  }
  assert.equal(sizes.at(-1), limits.bodyBytes)
})

test('a letter beyond the largest body is not written', () => {
  const statements = Array(16).fill(filled(1100))
  const letter: Letter = { ...cast.letters.table, from: cast.anna.publicKey, statements }
  assert.throws(() => sealLetter(crypto, letter, toHost), Problem)
})

test('a letter is not signed in the name of somebody else', () => {
  assert.throws(() => sealLetter(crypto, cast.request, { ...toHost, identity: cast.ben }), Problem)
})

test('no altered sealed letter opens', () => {
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

test('no alteration of the signed bytes passes, even by one who can seal', () => {
  const signed = signLetter(crypto, cast.request, cast.anna)
  fc.assert(
    fc.property(some.mutation, (mutation) => {
      const altered = some.mutate(signed, mutation)
      const padded = crypto.pad(altered, 1024)
      const refusal = refusalOf(crypto.seal(padded, cast.hostSealing.publicKey))
      assert.notEqual(refusal, 'opened')
      assert.equal(verifyStatement(crypto, altered).ok, false)
    }),
    { numRuns: 1000 },
  )
})

test('random signed bytes never throw', () => {
  fc.assert(
    fc.property(some.bytes(0, 1023), (random) => {
      const sealed = crypto.seal(crypto.pad(random, 1024), cast.hostSealing.publicKey)
      assert.equal(refusalOf(sealed), 'malformed')
    }),
  )
})

test('a letter too big is refused before it costs anything', () => {
  const idle: Crypto = {
    ...crypto,
    openSealed: () => assert.fail('the key was tried'),
  }
  const result = openLetter(idle, new Uint8Array(limits.sealedBytes + 1), hostKeys)
  assert.deepEqual(result, { ok: false, refusal: 'too-big' })
})

test('a letter that was not padded to a step is malformed', () => {
  const signed = forgeSigned(encodeLetter(cast.letters.leave), cast.anna)
  for (const padded of [signed, crypto.pad(signed, 16), crypto.pad(signed, 3072), new Uint8Array(1024)]) {
    assert.equal(refusalOf(crypto.seal(padded, cast.hostSealing.publicKey)), 'malformed')
  }
})

test('a letter with bytes between body and signature, or none at all, is malformed', () => {
  const signed = forgeSigned(encodeLetter(cast.letters.leave), cast.anna)
  const longer = concatBytes(signed, Uint8Array.of(0))
  for (const bytes of [longer, signed.subarray(1), signed.subarray(0, 65), new Uint8Array(0)]) {
    assert.equal(refusalOf(crypto.seal(crypto.pad(bytes, 1024), cast.hostSealing.publicKey)), 'malformed')
  }
})

test('a letter that its recipient seals anew for somebody else is misdirected there', () => {
  const opened = openLetter(crypto, sealedRequest(), hostKeys)
  assert.ok(opened.ok)
  const passedOn = crypto.seal(crypto.pad(opened.signed, 1024), cast.benSession.publicKey)
  const result = openLetter(crypto, passedOn, { identity: cast.ben.publicKey, keyPairs: [cast.benSession] })
  assert.deepEqual(result, { ok: false, refusal: 'misdirected' })
})

test('a letter cannot be sent back to its sender as if it were an answer', () => {
  const sealed = sealLetter(crypto, cast.request, { ...toHost, recipientKey: cast.annaSession.publicKey })
  const result = openLetter(crypto, sealed, { identity: cast.anna.publicKey, keyPairs: [cast.annaSession] })
  assert.deepEqual(result, { ok: false, refusal: 'misdirected' })
})

test('a letter signed by another than it names is unsigned', () => {
  assert.equal(refusalOf(forgeFrom(wireOf(cast.request), cast.ben)), 'unsigned')
})

test('a signature over the body without the domain is none', () => {
  const body = encodeLetter(cast.request)
  const bare = concatBytes(
    Uint8Array.of(body.length >> 8, body.length & 0xff),
    body,
    crypto.sign(body, cast.anna.secretKey),
  )
  assert.equal(refusalOf(crypto.seal(crypto.pad(bare, 1024), cast.hostSealing.publicKey)), 'unsigned')
})

test('a sender whose key is of small order proves nothing', () => {
  const wire = { ...wireOf(cast.letters.leave), from: new Uint8Array(32) }
  assert.equal(refusalOf(forgeFrom(wire)), 'unsigned')
})

test('a forged letter built as the protocol says opens, so that the forgeries above fail for their own reason', () => {
  assert.equal(refusalOf(forgeSealed(encodeLetter(cast.request))), 'opened')
})

test('what an agent signed is checked apart from its seal', () => {
  const signed = signLetter(crypto, cast.request, cast.anna)
  assert.deepEqual(verifyStatement(crypto, signed), { ok: true, letter: cast.request })
  const goodbye = signLetter(crypto, cast.letters.leave, cast.anna)
  assert.deepEqual(verifyStatement(crypto, goodbye), { ok: true, letter: cast.letters.leave })
  const cases = [
    ['unsigned', forgeSigned(encodeLetter(cast.request), cast.ben)],
    ['malformed', signLetter(crypto, cast.letters.failure, cast.anna)],
    ['malformed', new Uint8Array(0)],
    ['too-big', new Uint8Array(limits.signedRequestBytes + 1)],
  ] as const
  for (const [refusal, bytes] of cases) {
    assert.deepEqual(verifyStatement(crypto, bytes), { ok: false, refusal })
  }
})

test('two sealings of one letter have nothing in common', () => {
  assert.notEqual(toHex(sealedRequest()).slice(0, 64), toHex(sealedRequest()).slice(0, 64))
})
