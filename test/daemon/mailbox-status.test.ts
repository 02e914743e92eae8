import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MailboxStatus } from '../../src/daemon/mailbox-status.ts'

const second = 1_000

test('a mailbox is disconnected since the connection was lost, however often connecting fails again', () => {
  const mailbox = new MailboxStatus(0)
  mailbox.handle({ event: 'mailbox', state: 'connected' }, second)
  for (const [at, reason] of [
    [2 * second, 'reset'],
    [5 * second, 'refused'],
    [12 * second, 'no route'],
  ] as const) {
    mailbox.handle({ event: 'mailbox', state: 'disconnected', reason, retryInMs: second }, at)
    assert.deepEqual(mailbox.shown, { state: 'disconnected', reason, since: '1970-01-01T00:00:02.000Z' })
  }
  mailbox.handle({ event: 'mailbox', state: 'connected' }, 20 * second)
  assert.deepEqual(mailbox.shown, { state: 'connected', reason: null, since: '1970-01-01T00:00:20.000Z' })
  mailbox.close(30 * second)
  assert.deepEqual(mailbox.shown, { state: 'closed', reason: null, since: '1970-01-01T00:00:30.000Z' })
})
