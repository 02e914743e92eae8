import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalAddress, formatEndpoint } from '../../src/base/endpoint.ts'
import { userIdText } from '../../src/letter/user-id.ts'
import { maskEndpoint, maskText, maskTexts } from '../../src/wording/mask-addresses.ts'

const address = fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => canonicalAddress(text) ?? '192.0.2.1')
const port = fc.integer({ min: 1, max: 65535 })

test('a masked text contains no whole address, wherever it was', () => {
  const around = fc.constantFrom(' ', ' (', ', ', ' at ', '<', '>', ')', '; ')
  fc.assert(
    fc.property(address, port, around, around, (one, number, before, after) => {
      const endpoint = formatEndpoint({ address: one, port: number })
      const masked = maskText(`Connected${before}${endpoint}${after} and ${one} again`)
      // Addresses as short as "::1" cannot be masked.
      if (one.split(/[.:]/).filter(Boolean).length > 2) assert.ok(!masked.includes(one), masked)
      assert.ok(!maskEndpoint({ address: one, port: number }).includes(one) || one.length < 8)
    }),
  )
})

test('mail addresses and user IDs are shortened; times, versions and sentences are not changed', () => {
  const id = userIdText(new Uint8Array(32).fill(7))
  assert.equal(maskText('to <anna.b@example.org>: 550'), 'to <a…@example.org>: 550')
  assert.equal(maskText(`Your user ID: ${id}`), `Your user ID: ${id.slice(0, 8)}…`)
  for (const text of ['at 10:47:12 in 1.4 s', 'Dovecot 2.3.19', 'imap: no, 550 5.1.1']) {
    assert.equal(maskText(text), text)
  }
  assert.equal(maskText('[2001:db8::7]:443 and 198.51.100.7:9'), '[2001:db8:…]:443 and 198.51.…:9')
})

test('texts are masked at any depth, and masking twice changes nothing', () => {
  const event = { event: 'nat', public: ['198.51.100.7:9'], path: { remote: 'x@y.z' }, count: 3 }
  const masked = maskTexts(event)
  assert.deepEqual(masked, { event: 'nat', public: ['198.51.…:9'], path: { remote: 'x…@y.z' }, count: 3 })
  assert.deepEqual(maskTexts(masked), masked)
})
