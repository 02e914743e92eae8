import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/base/bytes.ts'
import type { Candidate } from '../../src/base/endpoint.ts'
import { Problem } from '../../src/base/problem.ts'
import { encodeCbor } from '../../src/letter/cbor.ts'
import { decodeLetter, encodeLetter } from '../../src/letter/letter-codec.ts'
import type { Letter, OfferedPeer, ReplyLetter, RequestLetter } from '../../src/letter/letter-types.ts'
import { limits } from '../../src/letter/limits.ts'
import { sealLetter } from '../../src/letter/seal-letter.ts'
import { signLetter } from '../../src/letter/signature.ts'
import { isUsableBoxKey } from '../../src/letter/x25519-weak-keys.ts'
import * as some from './arbitraries.ts'
import * as fixtures from './fixtures.ts'
import { wireOf } from './forged-letters.ts'
import { goldenGrantedBody, goldenLetters } from './golden.ts'

function decoded(wire: unknown) {
  return decodeLetter(encodeCbor(wire))
}

test('a request with an invite has its golden bytes', () => {
  assert.equal(toHex(encodeLetter(fixtures.grantedRequest)), goldenGrantedBody)
  assert.deepEqual(decodeLetter(encodeLetter(fixtures.grantedRequest)), {
    ok: true,
    letter: fixtures.grantedRequest,
  })
  const { sig: _, ...unsigned } = wireOf(fixtures.grantedRequest).grant as Record<string, unknown>
  for (const grant of [unsigned, { ...unsigned, sig: new Uint8Array(63) }, 1, null])
    assert.deepEqual(decoded({ ...wireOf(fixtures.grantedRequest), grant }), {
      ok: false,
      refusal: 'malformed',
    })
})

for (const [kind, letter] of Object.entries<Letter>(fixtures.letters)) {
  const golden = goldenLetters[letter.kind]

  test(`the body of a ${kind} letter has its golden bytes`, () => {
    assert.equal(toHex(encodeLetter(letter)), golden.body)
    assert.deepEqual(decodeLetter(encodeLetter(letter)), { ok: true, letter })
  })

  test(`the signature of a ${kind} letter has its golden bytes`, () => {
    const signed = signLetter(fixtures.crypto, letter, fixtures.identityOf(letter))
    assert.equal(toHex(signed.subarray(-limits.signatureBytes)), golden.signature)
  })

  test(`a ${kind} letter is decoded as it was encoded`, () => {
    fc.assert(
      fc.property(some.lettersByKind[letter.kind], (written) => {
        assert.deepEqual(decodeLetter(encodeLetter(written)), { ok: true, letter: written })
      }),
    )
  })

  test(`unknown fields of a ${kind} letter are dropped`, () => {
    // In a literal, __proto__ would set the prototype.
    const proto: object = JSON.parse('{"__proto__": {"kind": "leave"}}')
    const wire = { ...wireOf(letter), later: { a: [1, 'x', new Uint8Array(3)] }, ...proto }
    assert.deepEqual(decoded(wire), { ok: true, letter })
  })

  test(`a ${kind} letter without one of its fields is malformed`, () => {
    for (const field of Object.keys(wireOf(letter))) {
      const { [field]: _, ...rest } = wireOf(letter)
      assert.deepEqual(decoded(rest), { ok: false, refusal: 'malformed' }, field)
    }
  })

  test(`a ${kind} letter with a field of another type is malformed`, () => {
    for (const field of Object.keys(wireOf(letter))) {
      for (const wrong of [null, 'x', -1, {}, [[]], new Uint8Array(7)]) {
        if (field === 'box' && wrong instanceof Uint8Array) continue
        const result = decoded({ ...wireOf(letter), [field]: wrong })
        if (field === 'v' && wrong === -1) assert.deepEqual(result, { ok: false, refusal: 'unknown-version' })
        else if (field === 'nick' && wrong === 'x') assert.equal(result.ok, true)
        else assert.deepEqual(result, { ok: false, refusal: 'malformed' }, `${field}: ${wrong}`)
      }
    }
  })

  test(`a ${kind} letter read from a larger buffer shares no memory with it`, () => {
    const large = new Uint8Array(100_000)
    const body = encodeLetter(letter)
    large.set(body, 5)
    const result = decodeLetter(large.subarray(5, 5 + body.length))
    assert.ok(result.ok)
    large.fill(0)
    assert.deepEqual(result.letter, letter)
    for (const array of byteArraysIn(result.letter)) {
      assert.equal(array.buffer.byteLength, array.length)
      assert.equal(Object.getPrototypeOf(array), Uint8Array.prototype)
    }
  })
}

function byteArraysIn(value: unknown): Uint8Array[] {
  if (value instanceof Uint8Array) return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(byteArraysIn) : []
}

test('the bytes of a Buffer decode to plain arrays', () => {
  const result = decodeLetter(Buffer.from(encodeLetter(fixtures.request)))
  assert.ok(result.ok)
  for (const array of byteArraysIn(result.letter)) assert.equal(Buffer.isBuffer(array), false)
})

test('another version is recognised, whatever other fields there are', () => {
  assert.deepEqual(decoded({ v: 2 }), { ok: false, refusal: 'unknown-version' })
  assert.deepEqual(decoded({ ...wireOf(fixtures.request), v: 2 }), { ok: false, refusal: 'unknown-version' })
  assert.deepEqual(decoded({ ...wireOf(fixtures.request), v: '1' }), { ok: false, refusal: 'malformed' })
  assert.deepEqual(decoded([1]), { ok: false, refusal: 'malformed' })
})

test('a kind with the name of a built-in property is malformed', () => {
  for (const kind of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    assert.deepEqual(decoded({ ...wireOf(fixtures.request), kind }), { ok: false, refusal: 'malformed' })
  }
})

test('random bytes are malformed, never an exception', () => {
  fc.assert(
    fc.property(some.bytes(0, 600), (random) => {
      assert.deepEqual(decodeLetter(random), { ok: false, refusal: 'malformed' })
    }),
  )
})

test('a changed body is refused or is the encoding of another letter', () => {
  fc.assert(
    fc.property(some.letter, some.mutation, (letter, mutation) => {
      const result = decodeLetter(some.mutate(encodeLetter(letter), mutation))
      if (result.ok) assert.notDeepEqual(result.letter, letter)
      else assert.ok(['malformed', 'unknown-version', 'too-big'].includes(result.refusal))
    }),
    { numRuns: 1000 },
  )
})

test('random CBOR is refused, never an exception', () => {
  const leaf = fc.oneof(fc.integer(), fc.string(), some.bytes(0, 40), fc.boolean(), fc.constant(null))
  const value = fc.letrec((tie) => ({
    any: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('any')), fc.dictionary(fc.string(), tie('any'))),
  })).any
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.values<Letter>(fixtures.letters)),
      fc.nat(),
      value,
      (letter, at, changed) => {
        const wire = wireOf(letter)
        const fields = Object.keys(wire)
        const field = fields[at % fields.length] ?? 'v'
        const result = decoded({ ...wire, [field]: changed })
        assert.equal(typeof result.ok, 'boolean')
      },
    ),
  )
})

const badFields: readonly [name: string, change: Partial<Record<string, unknown>>][] = [
  ['a nickname of 33 characters', { nick: 'x'.repeat(33) }],
  ['an empty nickname', { nick: '' }],
  ['a nickname with a line break', { nick: 'a\nb' }],
  ['a nickname with a mark that reverses text', { nick: 'abc\u202egpj' }],
  ['a nickname with spaces at its end', { nick: 'anna ' }],
  ['a return address with CR LF', { return: 'anna@example.org\r\nBcc: x@example.org' }],
  ['two return addresses', { return: 'anna@example.org,ben@example.org' }],
  ['a quoted return address', { return: '"anna"@example.org' }],
  ['a return address in angle brackets', { return: '<anna@example.org>' }],
  ['a return address outside ASCII', { return: 'änna@example.org' }],
  ['17 candidates', { candidates: Array(17).fill(['host', Uint8Array.of(10, 0, 0, 1, 1, 1)]) }],
  ['a candidate of an unknown kind', { candidates: [['relay', Uint8Array.of(10, 0, 0, 1, 1, 1)]] }],
  ['a candidate with port 0', { candidates: [['host', Uint8Array.of(10, 0, 0, 1, 0, 0)]] }],
  ['a candidate of five bytes', { candidates: [['host', Uint8Array.of(10, 0, 0, 1, 0)]] }],
  [
    'an IPv4 address written as IPv6',
    { candidates: [['host', Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1, 1, 1)]] },
  ],
  ['a sequential allocation without a step', { nat: { map: 'EIM', filter: 'ADF', alloc: 'sequential' } }],
  ['a step of 0', { nat: { map: 'EIM', filter: 'ADF', alloc: 'sequential', step: 0 } }],
  ['a step beyond the ports', { nat: { map: 'EIM', filter: 'ADF', alloc: 'sequential', step: 65536 } }],
  ['a time before 1970', { sent: -1 }],
  ['a time that no Date can hold', { sent: 8_640_000_000_000_001 }],
  ['a short letter ID', { id: new Uint8Array(15) }],
  ['a session key of small order', { session: { id: new Uint8Array(16), key: new Uint8Array(32) } }],
]

for (const [name, change] of badFields) {
  test(`a request with ${name} is malformed`, () => {
    assert.deepEqual(decoded({ ...wireOf(fixtures.request), ...change }), { ok: false, refusal: 'malformed' })
  })
}

test('a letter with an invalid field is not written', () => {
  const invalid: readonly Letter[] = [
    { ...fixtures.request, nickname: 'a\nb' },
    {
      ...fixtures.request,
      candidates: Array<Candidate>(17).fill({ kind: 'host', endpoint: { address: '10.0.0.1', port: 1 } }),
    },
    { ...fixtures.letters.reply, peers: Array<OfferedPeer>(17).fill(fixtures.benOffered) },
    { ...fixtures.letters.signal, box: new Uint8Array(limits.signalBoxBytes + 1) },
    { ...fixtures.letters.leave, sentAt: 1.5 },
  ]
  for (const letter of invalid) {
    assert.throws(
      () => encodeLetter(letter),
      (thrown) => thrown instanceof Problem && thrown.code === 'internal',
    )
  }
})

test('exactly the keys of small order are refused', () => {
  const top = (key: Uint8Array) => key.map((byte, index) => (index === 31 ? byte | 0x80 : byte))
  const hex = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'))
  const small = [
    new Uint8Array(32),
    Uint8Array.of(1, ...new Uint8Array(31)),
    hex('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'),
    hex('5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157'),
    ...['ec', 'ed', 'ee'].map((first) => hex(`${first}${'ff'.repeat(30)}7f`)),
  ]
  for (const key of [...small, ...small.map(top)]) {
    assert.equal(isUsableBoxKey(key), false)
    assert.throws(() => fixtures.crypto.seal(Uint8Array.of(1), key))
  }
  fc.assert(
    fc.property(some.boxKey, (key) => {
      assert.ok(fixtures.crypto.seal(Uint8Array.of(1), key))
    }),
  )
})

const fullCandidate: Candidate = {
  kind: 'predicted',
  endpoint: { address: '2001:db8:1111:2222:3333:4444:5555:6666', port: 65535 },
}
const full = {
  nickname: '𝔛'.repeat(limits.nicknameCharacters),
  session: fixtures.request.session,
  candidates: Array<Candidate>(limits.candidates).fill(fullCandidate),
  tcpCandidates: Array<Candidate>(limits.tcpCandidates).fill(fullCandidate),
  nat: {
    mapping: 'unknown',
    filtering: 'unknown',
    allocation: { type: 'sequential', step: -limits.portStep },
  },
} as const

test('the largest reply fits into one letter', () => {
  const peer: OfferedPeer = {
    ...fixtures.benOffered,
    ...full,
    sameNat: true,
    flagged: true,
    ageMs: limits.durationMs,
  }
  const reply: ReplyLetter = {
    ...fixtures.letters.reply,
    sentAt: limits.instantMs,
    expiresInMs: limits.durationMs,
    peers: Array<OfferedPeer>(limits.peers).fill(peer),
  }
  const sealed = sealLetter(fixtures.crypto, reply, {
    identity: fixtures.host,
    recipientKey: fixtures.annaSession.publicKey,
  })
  assert.ok(sealed.length <= limits.sealedBytes)
})

test('the largest request fits into a table letter', () => {
  const request: RequestLetter = {
    ...fixtures.request,
    ...full,
    sentAt: limits.instantMs,
    returnAddress: `${'a'.repeat(64)}@${'b'.repeat(62)}.${'b'.repeat(62)}.${'b'.repeat(63)}`,
  }
  assert.equal(request.returnAddress.length, limits.mailAddressCharacters)
  assert.ok(signLetter(fixtures.crypto, request, fixtures.anna).length <= limits.signedRequestBytes)
})
