import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode, rfc8949EncodeOptions } from 'cborg'
import fc from 'fast-check'
import { decodeCbor, encodeCbor } from '../../src/letter/cbor.ts'
import { limits } from '../../src/letter/limits.ts'

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
}

test('the deterministic form of a value is read', () => {
  assert.deepEqual(decodeCbor(bytes('a2 6161 01 6162 82 40 f5')), { a: 1, b: [new Uint8Array(0), true] })
})

const refused: readonly [name: string, hex: string][] = [
  ['nothing at all', ''],
  ['a map of indefinite length', 'bf 6161 01 ff'],
  ['an array of indefinite length', '9f 01 ff'],
  ['a string in chunks', '7f 6161 ff'],
  ['a lone break', 'ff'],
  ['a key twice', 'a2 6161 01 6161 02'],
  ['keys out of order', 'a2 6162 01 6161 02'],
  ['a longer key before a shorter one', 'a2 626161 01 6162 02'],
  ['a key that is not a text', 'a1 01 02'],
  ['a tag', 'c0 61 61'],
  ['a big number by tag', 'c2 49 010000000000000000'],
  ['an integer of more than 53 bits', '1b ffffffffffffffff'],
  ['a float that is an integer', 'f9 3c00'],
  ['a float', 'fb 3ff199999999999a'],
  ['NaN', 'f9 7e00'],
  ['Infinity', 'f9 7c00'],
  ['undefined', 'f7'],
  ['a simple value', 'f0'],
  ['an integer longer than necessary', '18 01'],
  ['a length longer than necessary', '58 01 00'],
  ['a map count longer than necessary', 'b8 01 6161 01'],
  ['bytes after the value', '01 01'],
  ['a string that ends too early', '63 6161'],
  ['an array that ends too early', '82 01'],
  ['a map that ends after a key', 'a1 6161'],
  ['text that is not UTF-8', '62 c328'],
  ['text with a surrogate', '63 eda080'],
  ['a string of four gigabytes', '5b 00000000ffffffff 00'],
  ['an array of a billion', '9a 3b9aca00 01'],
  ['reserved length bits', '1c'],
]

for (const [name, hex] of refused) {
  test(`${name} is refused`, () => {
    assert.equal(decodeCbor(bytes(hex)), undefined)
  })
}

test('arrays and maps can be as large and as deep as the limits allow', () => {
  const nested = (depth: number): unknown => (depth === 0 ? 0 : [nested(depth - 1)])
  assert.notEqual(decodeCbor(encodeCbor(nested(limits.cborDepth))), undefined)
  assert.equal(decodeCbor(encodeCbor(nested(limits.cborDepth + 1))), undefined)
  assert.notEqual(decodeCbor(encodeCbor(Array(limits.cborItems).fill(0))), undefined)
  assert.equal(decodeCbor(encodeCbor(Array(limits.cborItems + 1).fill(0))), undefined)
  assert.equal(decodeCbor(new Uint8Array(limits.bodyBytes).fill(0x81)), undefined)
  const wide = Array.from({ length: limits.cborItems }, () => [[], {}, [0]])
  assert.deepEqual(decodeCbor(encodeCbor(wide)), wide)
})

test('a key named __proto__ is an ordinary field', () => {
  const value = decodeCbor(bytes('a1 69 5f5f70726f746f5f5f a1 6161 01')) as object
  assert.equal(Object.getPrototypeOf(value), Object.prototype)
  assert.deepEqual(Object.keys(value), ['__proto__'])
})

test('any value that is read is written as the same bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (random) => {
      const value = decodeCbor(random)
      if (value !== undefined) assert.deepEqual(encodeCbor(value), random)
    }),
    { numRuns: 2000 },
  )
})

/** Values that letters have, and values that they never have. Keys use few characters, so that their order is a hard case. */
const anyValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.maxSafeInteger(),
    fc.integer({ min: -300, max: 300 }),
    fc.string({ unit: fc.constantFrom('a', 'b', 'ä', '€', '💌'), maxLength: 30 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(true, false, null, 1.5, Number.NaN, -0),
    fc.array(tie('value'), { maxLength: 30 }),
    fc.dictionary(
      fc.string({ unit: fc.constantFrom('a', 'b', '1', 'ä', '€', '💌'), maxLength: 300 }),
      tie('value'),
    ),
  ),
})).value

/** cborg sometimes returns a Buffer. */
function byRfc8949(value: unknown): Uint8Array {
  return new Uint8Array(encode(value, rfc8949EncodeOptions))
}

test('keys are written in the order of RFC 8949', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      assert.deepEqual(new Uint8Array(encodeCbor(value)), byRfc8949(value))
    }),
    { numRuns: 2000 },
  )
})

test('a value with one changed byte is refused, or is the encoding of another value', () => {
  fc.assert(
    fc.property(anyValue, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, change) => {
      const changed = new Uint8Array(encodeCbor(value))
      const index = at % changed.length
      changed[index] = (changed[index] ?? 0) ^ change
      const read = decodeCbor(changed)
      if (read !== undefined) assert.deepEqual(byRfc8949(read), changed)
    }),
    { numRuns: 2000 },
  )
})
