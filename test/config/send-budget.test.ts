import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostSchema } from '../../src/config/config-schema.ts'
import { hostSettings } from '../../src/setup/create-host.ts'

const perDay = (send: string, admission: object = {}) =>
  hostSettings(
    hostSchema.parse({
      address: 'meet@example.org',
      mail: { receive: 'imaps://meet@imap.example.org', send },
      rooms: [{ name: 'friends', secret_file: 'room.secret' }],
      admission,
    }),
  ).perDay

test('the daily limit of mails is four fifths of the limit of the provider, unless the config sets it', () => {
  assert.equal(perDay('smtps://meet@smtp.gmail.com'), 400)
  assert.equal(perDay('smtps://meet@smtp.example.org'), 0)
  assert.equal(perDay('smtp://127.0.0.1:25'), 0)
  assert.equal(perDay('smtps://meet@smtp.gmail.com', { per_day: 0 }), 0)
  assert.equal(perDay('smtps://meet@smtp.example.org', { per_day: 70 }), 70)
})
