import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes } from '../../src/base/bytes.ts'
import type { Crypto } from '../../src/base/crypto.ts'
import { Problem } from '../../src/base/problem.ts'
import { armorLetter, fitOneMail, readArmor } from '../../src/letter/armor.ts'
import { toBase32 } from '../../src/letter/base32.ts'
import { limits } from '../../src/letter/limits.ts'
import * as some from './arbitraries.ts'
import { counting, crypto } from './fixtures.ts'
import { goldenArmor } from './golden.ts'

const sealed = counting(0, 100)
const large = crypto.hash(sealed, 64)

function refusalOf(text: string) {
  const read = readArmor(crypto, text)
  return read.ok ? 'read' : read.refusal
}

/** A block with any bytes in it. */
function block(bytes: Uint8Array): string {
  return `[peerpost letter begins]\n${toBase32(bytes)}\n[peerpost letter ends]\n`
}

function withHeader(version: number, length: number, content: Uint8Array): Uint8Array {
  const prefix = Uint8Array.of(version, length >> 8, length & 0xff)
  return concatBytes(prefix, crypto.hash(concatBytes(prefix, content), 16).subarray(0, 5), content)
}

test('armor has its golden text', () => {
  assert.equal(armorLetter(crypto, sealed), goldenArmor)
  assert.deepEqual(readArmor(crypto, goldenArmor), { ok: true, boxes: [sealed] })
})

test('any sealed bytes come back from their armor', () => {
  fc.assert(
    fc.property(some.bytes(0, 3000), (bytes) => {
      assert.deepEqual(readArmor(crypto, armorLetter(crypto, bytes)), { ok: true, boxes: [bytes] })
    }),
  )
})

test('the largest sealed letter fits, a larger one is refused', () => {
  const largest = new Uint8Array(limits.sealedBytes).fill(0xa5)
  assert.deepEqual(readArmor(crypto, armorLetter(crypto, largest)), { ok: true, boxes: [largest] })
  assert.throws(() => armorLetter(crypto, new Uint8Array(limits.sealedBytes + 1)), Problem)
})

test('several boxes fit into one armor, and all are read in their order', () => {
  fc.assert(
    fc.property(
      fc.array(some.bytes(0, 2600), { minLength: 2, maxLength: limits.forwardedBoxes }),
      (boxes) => {
        assert.deepEqual(readArmor(crypto, armorLetter(crypto, ...boxes)), { ok: true, boxes })
      },
    ),
  )
})

test('a mail of an agent holds nine requests of the usual size, and one more box when it is forwarded', () => {
  const box = new Uint8Array(2_048 + 48)
  assert.ok(fitOneMail(new Array<number>(9).fill(box.length)))
  assert.ok(!fitOneMail(new Array<number>(10).fill(1)))
  assert.ok(!fitOneMail([limits.sealedBytes, limits.sealedBytes]))
  assert.ok(!fitOneMail([]))
  assert.throws(() => armorLetter(crypto), Problem)
  const forwarded = new Array<Uint8Array>(limits.forwardedBoxes).fill(box)
  assert.deepEqual(readArmor(crypto, armorLetter(crypto, ...forwarded)), { ok: true, boxes: forwarded })
  assert.throws(() => armorLetter(crypto, ...forwarded, box), Problem)
})

test('a block of several boxes must contain nothing else', () => {
  const boxes = (...encoded: readonly (readonly number[])[]) => {
    const content = Uint8Array.from(encoded.flat())
    return refusalOf(block(withHeader(2, content.length, content)))
  }
  const one = [0, 2, 7, 7]
  assert.equal(boxes(one, one), 'read')
  assert.equal(boxes(one, [0]), 'malformed')
  assert.equal(boxes(one, [0, 3, 7, 7]), 'malformed')
  assert.equal(boxes(one), 'malformed', 'one box is written as version 1')
  assert.equal(boxes(), 'malformed')
  assert.equal(boxes(...new Array<number[]>(11).fill(one)), 'malformed')
})

test('armor is 7-bit text without lines that mail systems change', () => {
  const text = armorLetter(
    crypto,
    new Uint8Array(2000).map((_, index) => (index * 7) & 0xff),
  )
  assert.match(text, /^[\n -~]*$/)
  for (const line of text.split('\n')) {
    assert.ok(line.length <= limits.armorLineCharacters, line)
    // Mail systems strip trailing spaces, put ">" before "From ", double a first ".", and take "--" for a signature.
    assert.doesNotMatch(line, / $|^From |^\.|^-/)
  }
})

test('armor begins with a note for a person, before the block', () => {
  const [note] = armorLetter(crypto, sealed).split('[peerpost')
  assert.match(note ?? '', /network game/)
  assert.match(note ?? '', /nothing here for you to read or to do/)
})

const manglings: readonly [name: string, mangle: (text: string) => string][] = [
  ['CRLF line ends', (text) => text.replaceAll('\n', '\r\n')],
  ['capitals', (text) => text.toUpperCase()],
  ['capitals at random', (text) => text.replace(/[aeiou]/g, (letter) => letter.toUpperCase())],
  ['quoting', (text) => text.replace(/^/gm, '> ')],
  ['quoting three times without spaces', (text) => text.replace(/^/gm, '>>>')],
  [
    'quoting and then filling the lines anew',
    (text) => text.replace(/^/gm, '> ').replaceAll('\n', ' ').replace(/.{72}/g, '$&\n'),
  ],
  ['quoting with a bar', (text) => text.replace(/^/gm, '| ')],
  ['indentation by tabs', (text) => text.replace(/^/gm, '\t\t')],
  ['trailing spaces', (text) => text.replace(/$/gm, '   ')],
  ['spaces at the line ends of format=flowed', (text) => text.replaceAll('\n', ' \n')],
  ['all in one line', (text) => text.replaceAll('\n', ' ')],
  ['all in one line without spaces', (text) => text.replaceAll('\n', '')],
  ['lines of 20 characters', (text) => text.replace(/.{20}/g, '$&\n')],
  ['lines of one character', (text) => text.replace(/./g, '$&\n')],
  ['double spacing', (text) => text.replaceAll('\n', '\n\n')],
  ['no-break spaces', (text) => text.replaceAll(' ', '\u00a0').replaceAll('\n', '\u00a0\n')],
  ['zero-width spaces', (text) => text.replace(/.{10}/g, '$&\u200b')],
  ['soft hyphens', (text) => text.replace(/.{10}/g, '$&\u00ad')],
  ['zero-width no-break spaces', (text) => `\ufeff${text.replace(/.{30}/g, '$&\ufeff')}`],
  ['marks of writing direction', (text) => text.replace(/^.*$/gm, '\u202a$&\u202c')],
  ['ideographic spaces', (text) => text.replace(/.{30}/g, '$&\u3000')],
  ['soft line ends of quoted-printable left in', (text) => text.replace(/.{50}/g, '$&=\r\n')],
  ['NUL characters', (text) => text.replace(/.{50}/g, '$&\0')],
  [
    'a footer of a mailing list',
    (text) => `${text}\n_______________\nlist mailing list\nhttps://lists.example.org/\n`,
  ],
  ['a virus scanner above it', (text) => `[EXTERNAL] Be careful with links!\n\n${text}`],
  ['a signature', (text) => `${text}-- \nAnna\nSent from my telephone\n`],
  [
    'a forwarded header',
    (text) => `---------- Forwarded message ---------\nFrom: <a@example.org>\n\n${text}`,
  ],
  ['the note removed', (text) => text.slice(text.indexOf('[peerpost'))],
  ['no line end at the end', (text) => text.trimEnd()],
  ['text in other scripts around it', (text) => `こんにちは\n${text}\nПривет 👋🏽\n`],
  ['typographic quotes and dashes', (text) => text.replaceAll("'", '’').replaceAll('-', '–')],
  ['a copy out of HTML', (text) => text.replaceAll('\n\n', '\u00a0\n\n').replaceAll('\n', '  \n  ')],
]

for (const [name, mangle] of manglings) {
  test(`a letter survives ${name}`, () => {
    for (const bytes of [sealed, large]) {
      assert.deepEqual(readArmor(crypto, mangle(armorLetter(crypto, bytes))), { ok: true, boxes: [bytes] })
    }
  })
}

test('a mail without a block has no letter', () => {
  for (const text of ['', 'Dear Anna,\nhow are you?', '[peerpost letter begin]', 'peerpost letter begins']) {
    assert.equal(refusalOf(text), 'no-letter')
  }
})

test('two begin markers are several letters, with complete blocks or not', () => {
  const text = armorLetter(crypto, sealed)
  assert.equal(refusalOf(text + text), 'several-letters')
  assert.equal(refusalOf(`${text}[peerpost letter begins]`), 'several-letters')
  assert.equal(refusalOf(`[peerpost letter begins] ${text}`), 'several-letters')
})

test('a block without its begin or end is mangled', () => {
  assert.equal(refusalOf(goldenArmor.replace('[peerpost letter ends]', '')), 'mangled')
  assert.equal(refusalOf(goldenArmor.replace('[peerpost letter begins]', '')), 'mangled')
  assert.equal(refusalOf('[peerpost letter ends] [peerpost letter begins]'), 'mangled')
})

test('a block with a wrong length, checksum or character is mangled', () => {
  const cases: readonly string[] = [
    block(withHeader(1, 4, counting(0, 5))),
    block(withHeader(1, 6, counting(0, 5))),
    block(withHeader(1, 5, counting(0, 5)).with(7, 0xee)),
    block(new Uint8Array(0)),
    block(new Uint8Array(7)),
    goldenArmor.replace('aeagi', 'aeag!'),
    goldenArmor.replace('aeagi', 'aeag1'),
    goldenArmor.replace('amfrgg', 'amfrgh'),
  ]
  for (const text of cases) assert.equal(refusalOf(text), 'mangled')
})

test('a block is of an unknown version only if its checksum is right', () => {
  assert.equal(refusalOf(block(withHeader(1, 5, counting(0, 5)))), 'read')
  assert.equal(refusalOf(block(withHeader(3, 5, counting(0, 5)))), 'unknown-version')
  assert.equal(refusalOf(block(withHeader(1, 5, counting(0, 5)).with(0, 3))), 'mangled')
})

test('one character changed, lost or added never yields other bytes', () => {
  const text = armorLetter(crypto, sealed)
  const printable = fc.integer({ min: 32, max: 126 }).map((code) => String.fromCharCode(code))
  const how = fc.constantFrom('change', 'insert', 'delete', 'truncate')
  fc.assert(
    fc.property(fc.nat(text.length - 1), how, printable, (at, action, character) => {
      const rest = {
        change: text.slice(at + 1),
        insert: text.slice(at),
        delete: text.slice(at + 1),
        truncate: '',
      }
      const added = action === 'change' || action === 'insert' ? character : ''
      const read = readArmor(crypto, text.slice(0, at) + added + rest[action])
      if (read.ok) assert.deepEqual(read.boxes, [sealed])
      else assert.ok(['mangled', 'no-letter'].includes(read.refusal))
    }),
    { numRuns: 2000 },
  )
})

test('random text never throws', () => {
  const fragments = fc.constantFrom(
    '[peerpost letter begins]',
    '[peerpost letter ends]',
    'aeag',
    '> ',
    '\n',
    '\ud800',
    'ß',
    '\u212a',
  )
  fc.assert(
    fc.property(fc.array(fc.oneof(fragments, fc.string({ unit: 'binary' }))), (texts) => {
      assert.notEqual(refusalOf(texts.join('')), 'read')
    }),
    { numRuns: 500 },
  )
})

/** The lengths of what readArmor hashes. */
function hashedBytes(text: string): number[] {
  const hashed: number[] = []
  const countingCrypto: Crypto = {
    ...crypto,
    hash: (message, length, key) => {
      hashed.push(message.length)
      return crypto.hash(message, length, key)
    },
  }
  readArmor(countingCrypto, text)
  return hashed
}

test('a megabyte of hostile text is refused before anything is decoded', () => {
  const million = 1_000_000
  for (const fragment of [
    'a',
    '>',
    '[peerpost letter begins]',
    '[',
    ' [peerpost letter begins',
    '\u200b',
    '=\n',
  ]) {
    const text = fragment.repeat(Math.ceil(million / fragment.length))
    assert.equal(refusalOf(text), 'too-big')
    assert.deepEqual(hashedBytes(text), [])
  }
})

test('hostile text of the largest size costs at most one decoding of one block', () => {
  const fragments = [
    'a',
    '> ',
    '[',
    '[peerpost',
    '[peerpost letter begins',
    '[peerpost letter ends]',
    '\u200b',
    '\n',
    '\u0130',
  ]
  const most = limits.forwardedBlockBytes + 8
  for (const fragment of fragments) {
    const padding = fragment.repeat(Math.floor((limits.armorTextCharacters - 100) / fragment.length))
    for (const text of [
      padding,
      `[peerpost letter begins]${padding}`,
      `[peerpost letter begins]${padding}[peerpost letter ends]`,
    ]) {
      const hashed = hashedBytes(text)
      assert.notEqual(refusalOf(text), 'read')
      assert.ok(hashed.length <= 1 && (hashed[0] ?? 0) <= most)
    }
  }
})

test('a block longer than any letter is too big, even in a mail that is not', () => {
  assert.equal(refusalOf(`[peerpost letter begins]${'a'.repeat(44_000)}[peerpost letter ends]`), 'too-big')
})
