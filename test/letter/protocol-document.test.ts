import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { toHex, utf8 } from '../../src/base/bytes.ts'
import { letterSchemas } from '../../src/letter/letter-schema.ts'
import { limits, paddingStepsBytes } from '../../src/letter/limits.ts'
import * as fixtures from './fixtures.ts'
import { goldenArmor, goldenInvite, goldenLetters, goldenPassInvite, goldenRoom } from './golden.ts'

const document = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8')
const letters = document.slice(0, document.indexOf('\n## On the wire between agents'))
const joined = letters.replaceAll(/\n +/g, '')

test('the examples in the protocol document are the golden bytes', () => {
  for (const bytes of [
    goldenLetters.leave.body,
    goldenLetters.leave.signature,
    goldenInvite,
    goldenPassInvite,
    goldenRoom.grantSignature,
    goldenRoom.tag,
    goldenRoom.linkSecret,
  ]) {
    assert.ok(joined.includes(bytes), bytes)
  }
  assert.ok(letters.includes(goldenArmor.trimEnd().replaceAll(/^(?=.)/gm, '    ')))
  assert.equal(toHex(fixtures.letters.leave.id).slice(0, 4), '1314')
  assert.equal(new Date(fixtures.letters.leave.sentAt).toISOString(), '2026-11-20T12:00:00.000Z')
})

test('the protocol document names every kind of letter and the limits', () => {
  for (const kind of Object.keys(letterSchemas)) assert.ok(letters.includes(`\n\`${kind}\`, `), kind)
  const bounds = [
    ...paddingStepsBytes,
    limits.sealedBytes,
    limits.blockBytes,
    limits.bodyBytes,
    limits.armorTextCharacters,
    limits.signalBoxBytes,
    limits.signedRequestBytes,
    limits.inviteBytes,
    limits.inviteUses,
    limits.instantMs,
    limits.durationMs,
  ]
  for (const bound of bounds) assert.match(letters, new RegExp(`\\b${bound}\\b`))
  assert.match(
    letters,
    new RegExp(`the ${utf8('peerpost letter 1\0').length} bytes \`peerpost letter 1\` NUL`),
  )
  assert.match(
    letters,
    new RegExp(`the ${utf8('peerpost room proof 1\0').length} bytes \`peerpost room proof 1\` NUL`),
  )
  assert.match(
    letters,
    new RegExp(`the ${utf8('peerpost invite 1\0').length} bytes \`peerpost invite 1\` NUL`),
  )
})
