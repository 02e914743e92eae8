import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type AuthenticationResults,
  readAuthenticationResults as read,
} from '../../src/mail/mime/authentication-results.ts'

/** As plain arrays, to compare. */
function plain(results: AuthenticationResults | null) {
  return (
    results && {
      id: results.authservId,
      results: results.results.map(({ method, result, properties }) => [
        `${method}=${result}`,
        ...[...properties].map(([name, value]) => `${name}=${value}`),
      ]),
    }
  )
}

const examples: readonly (readonly [name: string, value: string, expected: ReturnType<typeof plain>])[] = [
  ['no method (RFC 8601, B.2)', 'example.org 1; none', { id: 'example.org', results: [] }],
  [
    'one method (B.3)',
    'example.com; spf=pass smtp.mailfrom=example.net',
    { id: 'example.com', results: [['spf=pass', 'smtp.mailfrom=example.net']] },
  ],
  [
    'several methods (B.4)',
    'example.com; auth=pass (cram-md5) smtp.auth=sender@example.net; spf=pass smtp.mailfrom=example.net',
    {
      id: 'example.com',
      results: [
        ['auth=pass', 'smtp.auth=sender@example.net'],
        ['spf=pass', 'smtp.mailfrom=example.net'],
      ],
    },
  ],
  [
    'comments everywhere (B.7)',
    'foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail',
    null,
  ],
  [
    'a version of a method, a reason and a quoted value',
    'MX.example.org; dkim/1=fail reason="bad; signature" header.d="example.net"',
    { id: 'mx.example.org', results: [['dkim=fail', 'header.d=example.net']] },
  ],
  [
    'a field of Gmail',
    'mx.google.com; dkim=pass header.i=@example.org header.s=s1 header.b=YbX1Qx2Z; spf=pass (google.com: domain of ann@example.org designates 192.0.2.1 as permitted sender) smtp.mailfrom=ann@example.org; dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=example.org',
    {
      id: 'mx.google.com',
      results: [
        ['dkim=pass', 'header.i=@example.org', 'header.s=s1', 'header.b=YbX1Qx2Z'],
        ['spf=pass', 'smtp.mailfrom=ann@example.org'],
        ['dmarc=pass', 'header.from=example.org'],
      ],
    },
  ],
  [
    'a semicolon at the end',
    'mx.example.org; dmarc=pass;',
    { id: 'mx.example.org', results: [['dmarc=pass']] },
  ],
  ['no name', '; dmarc=pass', null],
  ['no result', 'mx.example.org', null],
  ['another version', 'mx.example.org 2; dmarc=pass', null],
  ['a result without a value', 'mx.example.org; dmarc=', null],
  ['a word too many', 'mx.example.org; dmarc=pass really', null],
  ['a repeated property', 'mx.example.org; dkim=pass header.d=a.example header.d=b.example', null],
  ['a comment without end', 'mx.example.org; dmarc=fail (dmarc=pass', null],
  ['a closing parenthesis without an opening one', 'mx.example.org; dmarc=pass)', null],
  ['a quoted string without end', 'mx.example.org; dmarc="pass', null],
  [
    'a result inside a comment',
    'mx.example.org; dmarc=fail (; dmarc=pass)',
    { id: 'mx.example.org', results: [['dmarc=fail']] },
  ],
  ['a field longer than the limit', `mx.example.org; dmarc=pass (${'x'.repeat(5_000)})`, null],
]

for (const [name, value, expected] of examples) {
  test(`${name} is ${expected ? 'read' : 'refused'}`, () => assert.deepEqual(plain(read(value)), expected))
}

const token = fc.stringMatching(/^[a-z][a-z0-9.@/+:-]{0,20}$/)
const space = fc.constantFrom(' ', '  ', '\t', ' (a comment) ', ' (one (in \\) another)) ')
const quoted = fc.string({ maxLength: 20 }).map((text) => `"${text.replace(/["\\\s]/g, '')}"`)
const property = fc.tuple(
  fc.constantFrom('header', 'smtp', 'policy'),
  fc.constantFrom('from', 'd', 'i', 'mailfrom'),
)

test('any field that follows the grammar is read correctly, with comments and spaces anywhere', () => {
  const result = fc.record({
    method: fc.constantFrom('dkim', 'spf', 'dmarc', 'arc', 'auth'),
    result: fc.constantFrom('pass', 'fail', 'none', 'softfail'),
    properties: fc.uniqueArray(fc.tuple(property, fc.oneof(token, quoted)), {
      maxLength: 4,
      selector: ([name]) => name.join('.'),
    }),
  })
  fc.assert(
    fc.property(
      token,
      fc.array(result, { minLength: 1, maxLength: 5 }),
      fc.array(space, { minLength: 40, maxLength: 40 }),
      (id, results, spaces) => {
        let at = 0
        const gap = () => spaces[at++ % spaces.length]
        const parts = results.map(({ method, result, properties }) => {
          const pairs = properties.map(
            ([name, value]) => `${gap()}${name.join('.')}${gap()}=${gap()}${value}`,
          )
          return `;${gap()}${method}${gap()}=${gap()}${result}${pairs.join('')}${gap()}`
        })
        const text = `${gap()}${id}${gap()}${parts.join('')}`
        fc.pre(text.length <= 4_096)
        assert.deepEqual(plain(read(text)), {
          id,
          results: results.map(({ method, result, properties }) => [
            `${method}=${result}`,
            ...properties.map(([name, value]) => `${name.join('.')}=${value.replace(/^"|"$/g, '')}`),
          ]),
        })
      },
    ),
  )
})

test('no value makes it throw, take long, or return too many results', () => {
  const fragments = fc.constantFrom(
    '(',
    ')',
    '"',
    '\\',
    ';',
    '=',
    ' ',
    'dmarc',
    'pass',
    'none',
    '1',
    'mx.example.org',
    '.',
    '\u0000',
    'é',
  )
  const value = fc.oneof(
    fc.string({ maxLength: 6_000 }),
    fc.array(fragments, { maxLength: 2_000 }).map((all) => all.join('')),
  )
  fc.assert(
    fc.property(value, (text) => {
      const from = performance.now()
      const results = read(text)?.results ?? []
      assert.ok(results.length <= 32)
      assert.ok(performance.now() - from < 200)
    }),
    { numRuns: 500 },
  )
})
