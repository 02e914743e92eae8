// Refusals and BYE of IMAP servers, from a scripted server, and a change of UIDVALIDITY on a real Dovecot.

import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { ImapMailboxTiming } from '../../src/mail/imap/imap-mailbox.ts'
import { openMailbox } from '../../src/mail/open-mailbox.ts'
import { systemClock as clock } from '../../src/runtime/system-clock.ts'
import { startConnectionProxy } from '../harness/connection-proxy.ts'
import { deferIn } from '../harness/defer.ts'
import { startMailServers } from '../harness/mail-servers.ts'
import { fetchUntil, rawMail, testSubject, textOf, watchMailbox } from '../harness/mailbox-helpers.ts'
import { dropMail } from '../harness/maildir-files.ts'
import { lacks } from '../harness/needs.ts'
import { problemOf } from '../harness/problem-of.ts'
import { type ImapScript, startScriptedImap } from '../harness/scripted-imap.ts'

const skip = lacks('postfix', 'dovecot')
const quick = { firstMs: 10, lastMs: 20 }
const long = { firstMs: 600_000, lastMs: 600_000 }

async function stage(context: TestContext, script: ImapScript, timing: Partial<ImapMailboxTiming> = {}) {
  const defer = deferIn(context)
  const server = await startScriptedImap(script)
  defer(() => server.stop())
  const filter = { subject: testSubject, address: 'ann@mail.test', maxBytes: 20_000 }
  const mailbox = openMailbox(server.url, filter, { clock, imap: { retry: quick, ...timing } })
  defer(() => mailbox.close())
  return { server, mailbox, watched: watchMailbox(mailbox) }
}

const throttled = [
  'NO [LIMIT] Rate limit hit',
  'NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded',
  'NO [INUSE] Mailbox is locked',
  'NO [ALERT] Too many simultaneous connections. (Failure)',
  'NO Server Unavailable. 15',
]

for (const answer of throttled) {
  test(`a login refused by "${answer}" is temporary, also at the start`, async (context) => {
    let isRefused = true
    const login = (verb: string) => (verb === 'LOGIN' && isRefused ? [`TAG ${answer}`] : null)
    const { mailbox, watched } = await stage(
      context,
      { answer: login },
      { throttledRetry: quick, loginRetry: long },
    )
    await mailbox.open()
    const state = await watched.nextState('disconnected')
    assert.ok(state.state === 'disconnected' && state.retryInMs <= 20, JSON.stringify(state))
    assert.match(state.reason, /refuses all logins for now/)
    assert.equal((await problemOf(() => mailbox.fetch(1))).code, 'mail-connection')
    isRefused = false
    await watched.nextState('connected')
    assert.deepEqual(await mailbox.fetch(1), [])
  })
}

for (const answer of ['NO [AUTHENTICATIONFAILED] no', 'NO login failed', 'NO [EXPIRED] change it first']) {
  test(`a login refused by "${answer}" is a login problem`, async (context) => {
    const login = (verb: string) => (verb === 'LOGIN' ? [`TAG ${answer}`] : null)
    const { mailbox } = await stage(context, { answer: login })
    assert.equal((await problemOf(() => mailbox.open())).code, 'mail-login')
  })
}

test('after temporary refusals the pauses grow to minutes', async (context) => {
  const refuse = (verb: string, connection: number) =>
    verb === 'LOGIN' && connection > 1 ? ['TAG NO [LIMIT] slow down'] : null
  const { mailbox, watched, server } = await stage(context, { answer: refuse })
  await mailbox.open()
  server.say('* BYE see you later', 'close')
  await watched.nextState('disconnected')
  const state = await watched.nextState('disconnected')
  assert.ok(state.state === 'disconnected' && state.retryInMs >= 15_000, JSON.stringify(state))
  assert.equal(server.connections(), 2)
})

test('a BYE is reported with the server’s text, and the mailbox reconnects', async (context) => {
  const { mailbox, watched, server } = await stage(context, {})
  await mailbox.open()
  await mailbox.fetch(1)
  server.say('* BYE Server shutting down for maintenance', 'close')
  const state = await watched.nextState('disconnected')
  assert.match(state.state === 'disconnected' ? state.reason : '', /shutting down for maintenance/)
  await watched.nextState('connected')
  assert.deepEqual(await mailbox.fetch(1), [])
  assert.equal(server.connections(), 2)
})

test('when UIDVALIDITY changes each letter is shown once with its new UID, and removed by it', {
  skip,
}, async (context) => {
  const defer = deferIn(context)
  const office = await startMailServers()
  defer(() => office.stop())
  const proxy = await startConnectionProxy({ port: office.ports.imap })
  defer(() => proxy.stop())
  const maildir = office.maildirOf('ann')
  for (const text of ['one', 'two', 'three']) dropMail(maildir, rawMail({ to: office.address('ann'), text }))
  const filter = { subject: testSubject, address: office.address('ann'), maxBytes: 20_000 }
  const url = office.imapUrl('ann').replace(/:\d+$/, `:${proxy.port}`)
  const mailbox = openMailbox(url, filter, { clock, imap: { retry: quick } })
  defer(() => mailbox.close())
  const watched = watchMailbox(mailbox)
  await mailbox.open()
  const before = await mailbox.fetch(10)
  assert.equal(before.length, 3)
  await office.stopImap()
  await watched.nextState('disconnected')
  // Without its list of UIDs, Dovecot numbers a folder again, with another UIDVALIDITY.
  for (const name of ['dovecot-uidlist', 'dovecot.index', 'dovecot.index.log', 'dovecot.index.cache']) {
    rmSync(join(maildir, name), { force: true })
  }
  await office.startImap()
  await watched.nextState('connected')
  const after = await fetchUntil(mailbox, watched, 3)
  assert.deepEqual(after.map(textOf).sort(), before.map(textOf).sort())
  assert.ok(after.every(({ ref }) => before.every((mail) => mail.ref !== ref)))
  // An old UID may belong to another mail now, so it must remove nothing.
  await mailbox.remove(before.map(({ ref }) => ref))
  assert.equal((await mailbox.fetch(10)).length, 3)
  await mailbox.remove(after.map(({ ref }) => ref))
  assert.deepEqual(await mailbox.fetch(10), [])
})
