import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isHostAndPort, isMailAddress, isNickname } from '../../src/letter/text-validation.ts'

test('plain mail addresses are accepted', () => {
  const label = 'b'.repeat(63)
  const good = [
    'anna@example.org',
    'a.b+tag@mail.example.org',
    "o'brien@example.org",
    'host@localhost',
    'a@xn--bcher-kva.example',
    'a_b-c@1.example',
    `${'a'.repeat(64)}@${label}.${label}.org`,
  ]
  for (const address of good) assert.equal(isMailAddress(address), true, address)
})

test('text that could be read as another or a second address is refused', () => {
  const bad = [
    '',
    'anna',
    '@example.org',
    'anna@',
    'anna@@example.org',
    'a@b@example.org',
    'anna@example.org ',
    ' anna@example.org',
    'an na@example.org',
    'anna@example.org\n',
    'anna@example.org\r\nRCPT TO:<x@example.org>',
    'anna@example.org\0',
    'anna@example.org,ben@example.org',
    'anna@example.org;ben@example.org',
    'anna:ben@example.org;',
    '<anna@example.org>',
    'Anna <anna@example.org>',
    '"anna"@example.org',
    'anna(hi)@example.org',
    'anna\\@example.org',
    '.anna@example.org',
    'anna.@example.org',
    'an..na@example.org',
    'anna@example..org',
    'anna@.example.org',
    'anna@example.org.',
    'anna@-example.org',
    'anna@example-.org',
    'anna@[192.0.2.1]',
    'anna@exam_ple.org',
    'anna@exämple.org',
    'ännä@example.org',
    `${'a'.repeat(65)}@example.org`,
    `anna@${'b'.repeat(64)}.org`,
    `anna@${'b.'.repeat(130)}org`,
  ]
  for (const address of bad) assert.equal(isMailAddress(address), false, JSON.stringify(address))
})

test('a nickname is one line without control characters or marks of direction', () => {
  for (const name of ['A', 'Anna B.', '花子', 'Ben ☕', '👩‍🚀', 'می‌خواهم', '𝔛'.repeat(32)]) {
    assert.equal(isNickname(name), true, name)
  }
  const bad = [
    '',
    ' ',
    ' a',
    'a ',
    'a\tb',
    'a\u001b[31m',
    'a\u0085b',
    'a\u2028b',
    'a\u202eb',
    'a\u2066b',
    'a\u200fb',
    'a\ud800',
    '𝔛'.repeat(33),
  ]
  for (const name of bad) assert.equal(isNickname(name), false, JSON.stringify(name))
})

test('a STUN server is written as name or address and port', () => {
  for (const text of ['stun.example.org:3478', '192.0.2.1:1', '[2001:db8::1]:65535', 'localhost:3478']) {
    assert.equal(isHostAndPort(text), true, text)
  }
  for (const text of [
    '',
    'stun.example.org',
    'a:0',
    'a:65536',
    'a:03478',
    'a b:1',
    '2001:db8::1:3478',
    'a:1\n',
    'stun:a:1',
  ]) {
    assert.equal(isHostAndPort(text), false, text)
  }
})
