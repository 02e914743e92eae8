// The post office of the tests itself: who sees it fail on another machine must learn why.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startMailServers } from '../harness/mail-servers.ts'
import { lacks } from '../harness/needs.ts'

const skip = lacks('postfix', 'dovecot')

test('a Dovecot that does not start is shown with what it says', { skip }, async () => {
  // The second line is none that Dovecot understands.
  const started = startMailServers({ imapCapability: 'IMAP4rev1\nno_such_setting = yes' })
  await assert.rejects(started, ({ message }: Error) => {
    assert.match(message, /^dovecot does not answer on 127\.0\.0\.1:\d+:\n/)
    assert.match(message, /unknown setting: no_such_setting/i)
    return true
  })
})
