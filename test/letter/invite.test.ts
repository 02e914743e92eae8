import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes } from '../../src/base/bytes.ts'
import { Problem } from '../../src/base/problem.ts'
import { toBase32 } from '../../src/letter/base32.ts'
import { encodeCbor } from '../../src/letter/cbor.ts'
import { defaultSubject, type Invite, readInvite, writeInvite } from '../../src/letter/invite.ts'
import { limits } from '../../src/letter/limits.ts'
import { readUserId, userIdText } from '../../src/letter/user-id.ts'
import * as some from './arbitraries.ts'
import * as fixtures from './fixtures.ts'
import { goldenInvite, goldenPassInvite } from './golden.ts'

const { crypto } = fixtures

const invite: Invite = {
  host: {
    address: 'host@example.org',
    identity: fixtures.host.publicKey,
    sealingKey: fixtures.hostSealing.publicKey,
  },
  room: { name: 'Friday chess', secret: fixtures.roomSecret },
  stunServers: ['stun.example.org:3478'],
  otherHosts: [],
  subject: defaultSubject,
}

function faultOf(text: string) {
  const read = readInvite(crypto, text)
  return read.ok ? 'read' : read.fault
}

/** An invite with any content and a valid checksum. */
function inviteAround(content: Uint8Array): string {
  const length = Uint8Array.of(content.length >> 8, content.length & 0xff)
  return `peerpost1${toBase32(concatBytes(length, crypto.hash(content, 16).subarray(0, 5), content))}`
}

test('an invite has its golden text', () => {
  assert.equal(writeInvite(crypto, invite), goldenInvite)
  assert.deepEqual(readInvite(crypto, goldenInvite), { ok: true, invite })
})

test('an invite with a pass has its golden text, and does not contain the secret of the room', () => {
  const passed: Invite = { ...invite, room: { name: 'Friday chess', pass: fixtures.pass } }
  assert.equal(writeInvite(crypto, passed), goldenPassInvite)
  assert.deepEqual(readInvite(crypto, goldenPassInvite), { ok: true, invite: passed })
})

test('any invite is read as it was written', () => {
  fc.assert(
    fc.property(some.invite, (written) => {
      const text = writeInvite(crypto, written)
      assert.match(text, /^[a-z0-9]+$/)
      assert.deepEqual(readInvite(crypto, text), { ok: true, invite: written })
    }),
  )
})

const pasteForms: readonly [name: string, paste: (text: string) => string][] = [
  ['with spaces and line ends around it', (text) => `  \r\n${text}\n\n`],
  ['broken into lines', (text) => text.replace(/.{60}/g, '$&\r\n')],
  ['quoted in a mail', (text) => text.replace(/.{60}/g, '$&\n').replace(/^/gm, '> ')],
  ['in capitals', (text) => text.toUpperCase()],
  ['in quotes', (text) => `"${text}"`],
  ['in typographic quotes', (text) => `“${text}”`],
  ['in backticks', (text) => `\`${text}\``],
  ['in angle brackets', (text) => `<${text}>`],
  ['with a dot after it', (text) => `${text}.`],
  ['in a sentence', (text) => `Hi Ben, here is your peerpost invite: ${text} - see you on Friday!`],
  ['with zero-width spaces', (text) => text.replace(/.{40}/g, '$&\u200b')],
  ['hyphenated', (text) => text.replace(/.{40}/g, '$&-\n')],
]

for (const [name, paste] of pasteForms) {
  test(`an invite is read when pasted ${name}`, () => {
    assert.deepEqual(readInvite(crypto, paste(goldenInvite)), { ok: true, invite })
  })
}

test('text without an invite is not one', () => {
  for (const text of [
    '',
    'hello',
    'peerpost',
    'peerpost1'.slice(0, 8),
    'x'.repeat(limits.inviteTextCharacters + 1),
  ]) {
    assert.equal(faultOf(text), 'not-an-invite')
  }
})

test('an invite cut off anywhere is incomplete', () => {
  for (let length = 'peerpost1'.length; length < goldenInvite.length; length++) {
    assert.equal(faultOf(goldenInvite.slice(0, length)), 'incomplete')
  }
})

test('an invite with one changed character has a typo', () => {
  // After the length, which has the first four characters.
  const start = 'peerpost1'.length + 4
  fc.assert(
    fc.property(
      fc.integer({ min: start, max: goldenInvite.length - 1 }),
      fc.constantFrom(...'abcz2701'),
      (at, character) => {
        fc.pre(goldenInvite[at] !== character)
        assert.equal(faultOf(goldenInvite.slice(0, at) + character + goldenInvite.slice(at + 1)), 'typo')
      },
    ),
    { numRuns: 1000 },
  )
})

test('no damage to an invite yields another invite', () => {
  fc.assert(
    fc.property(some.mutation, (mutation) => {
      const text = Buffer.from(some.mutate(Buffer.from(goldenInvite), mutation)).toString('latin1')
      const read = readInvite(crypto, text)
      if (read.ok) assert.deepEqual(read.invite, invite)
    }),
    { numRuns: 2000 },
  )
})

test('an invite of a later version is recognised', () => {
  assert.equal(faultOf(goldenInvite.replace('peerpost1', 'peerpost2')), 'unknown-version')
})

test('unknown fields of an invite are dropped, and invalid content is refused', () => {
  const content = {
    address: 'host@example.org',
    identity: fixtures.host.publicKey,
    sealing: fixtures.hostSealing.publicKey,
    room: 'Friday chess',
    secret: fixtures.roomSecret,
    stun: ['stun.example.org:3478'],
    hosts: [],
    later: 1,
  }
  assert.deepEqual(readInvite(crypto, inviteAround(encodeCbor(content))), { ok: true, invite })
  const { tag, linkSecret: links, seed, grant } = fixtures.pass
  const passContent = { tag, links, seed, sig: grant.signature }
  const { secret: _, ...closed } = content
  const changed: readonly object[] = [
    closed,
    { ...closed, pass: { ...passContent, seed: new Uint8Array(31) } },
    { ...content, address: 'host@example.org, other@example.org' },
    { ...content, identity: new Uint8Array(31) },
    { ...content, pass: passContent },
    { ...closed, pass: { ...passContent, uses: 0 } },
    { ...content, sealing: new Uint8Array(32) },
    { ...content, stun: ['stun.example.org'] },
    { ...content, stun: ['stun.example.org:0'] },
    { ...content, stun: Array(9).fill('stun.example.org:3478') },
    { ...content, hosts: [{}] },
    { ...content, room: 'a\u0007' },
    { ...content, subject: 'a\r\nBcc: x' },
    { hosts: [] },
  ]
  for (const object of changed) assert.equal(faultOf(inviteAround(encodeCbor(object))), 'not-an-invite')
})

test('random content with a valid checksum never throws', () => {
  fc.assert(
    fc.property(some.bytes(0, 300), (content) => {
      assert.notEqual(faultOf(inviteAround(content)), 'read')
    }),
  )
})

test('an invite with an invalid field is not written', () => {
  const invalid: readonly Invite[] = [
    { ...invite, subject: '' },
    { ...invite, room: { ...invite.room, name: 'a\nb' } },
    { ...invite, stunServers: ['stun.example.org:99999'] },
    { ...invite, host: { ...invite.host, sealingKey: new Uint8Array(32) } },
  ]
  for (const one of invalid) {
    assert.throws(
      () => writeInvite(crypto, one),
      (thrown) => thrown instanceof Problem && thrown.code === 'invite',
    )
  }
})

test('the largest invite is within its limits', () => {
  const address = `${'a'.repeat(64)}@${'b'.repeat(62)}.${'b'.repeat(62)}.${'b'.repeat(63)}`
  const host = { ...invite.host, address }
  const largest: Invite = {
    host,
    room: { name: '𝔛'.repeat(limits.roomNameCharacters), secret: fixtures.roomSecret },
    stunServers: Array(limits.inviteStunServers).fill(
      `${`${'s'.repeat(62)}.`.repeat(3)}${'s'.repeat(62)}:65535`,
    ),
    otherHosts: Array(limits.inviteHosts).fill(host),
    subject: '𝔛'.repeat(limits.subjectCharacters),
  }
  assert.deepEqual(readInvite(crypto, writeInvite(crypto, largest)), { ok: true, invite: largest })
})

test('a user ID is read from its text in upper and lower case', () => {
  const text = userIdText(fixtures.anna.publicKey)
  assert.match(text, /^[a-z2-7]{52}$/)
  assert.deepEqual(readUserId(text), fixtures.anna.publicKey)
  assert.deepEqual(readUserId(text.toUpperCase()), fixtures.anna.publicKey)
  for (const wrong of ['', text.slice(1), `${text}a`, `1${text.slice(1)}`, `${text.slice(0, -1)}b`]) {
    assert.equal(readUserId(wrong), null)
  }
})
