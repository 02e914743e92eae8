// IMAP servers without extensions, and servers that stop, do not answer or refuse: real Dovecot, partly behind a proxy.

import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import type { ImapMailboxTiming } from '../../src/mail/imap/imap-mailbox.ts'
import { createSender, openMailbox } from '../../src/mail/open-mailbox.ts'
import { systemClock as clock } from '../../src/runtime/system-clock.ts'
import { startConnectionProxy } from '../harness/connection-proxy.ts'
import { type MailServers, startMailServers } from '../harness/mail-servers.ts'
import { fetchUntil, rawMail, testSubject, textOf, watchMailbox } from '../harness/mailbox-helpers.ts'
import { dropMail } from '../harness/maildir-files.ts'
import { lacks } from '../harness/needs.ts'
import { problemOf } from '../harness/problem-of.ts'

const skip = lacks('postfix', 'dovecot')
let office: MailServers

before(async () => {
  if (!skip) office = await startMailServers()
})
after(async () => {
  if (!skip) await office.stop()
})

const maxBytes = 20_000

function mailboxOf(user: string, timing: Partial<ImapMailboxTiming> = {}, url = office.imapUrl(user)) {
  const filter = { subject: testSubject, address: office.address(user), maxBytes }
  const mailbox = openMailbox(url, filter, {
    clock,
    imap: { retry: { firstMs: 20, lastMs: 200 }, ...timing },
  })
  return { mailbox, watched: watchMailbox(mailbox) }
}

test('without UIDPLUS letters are only marked, other marked mails stay, and one notice is given', {
  skip,
}, async () => {
  const own = await startMailServers({ imapCapability: 'IMAP4rev1 IDLE LITERAL+' })
  try {
    const put = (place: string, text: string) =>
      writeFileSync(join(own.maildirOf('ida'), place), rawMail({ to: own.address('ida'), text }))
    put('cur/1.test:2,T', 'marked by another program')
    for (const name of ['2', '3', '4']) put(`new/${name}.test`, name)
    const notices: string[] = []
    const filter = { subject: testSubject, address: own.address('ida'), maxBytes }
    const mailbox = openMailbox(own.imapUrl('ida'), filter, { clock, notice: (line) => notices.push(line) })
    await mailbox.open()
    const mails = await mailbox.fetch(10)
    assert.equal(mails.length, 3)
    for (const { ref } of mails) await mailbox.remove([ref])
    assert.deepEqual(await mailbox.fetch(10), [])
    assert.equal(notices.length, 1)
    assert.match(notices[0] ?? '', /UIDPLUS/)
    const files = readdirSync(join(own.maildirOf('ida'), 'cur'))
    assert.equal(files.filter((name) => /:2,T$/.test(name)).length, 4)
    await mailbox.close()
  } finally {
    await own.stop()
  }
})

test('when the server stops and starts again the mailbox continues', { skip }, async () => {
  const own = await startMailServers()
  try {
    const filter = { subject: testSubject, address: own.address('dan'), maxBytes }
    const imap = { retry: { firstMs: 20, lastMs: 200 } }
    const mailbox = openMailbox(own.imapUrl('dan'), filter, { clock, imap })
    const watched = watchMailbox(mailbox)
    await mailbox.open()
    await mailbox.fetch(10)
    await own.stopImap()
    const lost = await watched.nextState('disconnected')
    assert.ok(lost.state === 'disconnected' && lost.retryInMs <= 200)
    await assert.rejects(
      mailbox.fetch(10),
      (error) => error instanceof Problem && error.code === 'mail-connection',
    )
    writeFileSync(
      join(own.maildirOf('dan'), 'new/1.test'),
      rawMail({ to: own.address('dan'), text: 'while away' }),
    )
    await own.startImap()
    await watched.nextState('connected')
    assert.equal((await fetchUntil(mailbox, watched, 1)).length, 1)
    await mailbox.close()
  } finally {
    await own.stop()
  }
})

async function openingProblem(url: string): Promise<Problem> {
  return problemOf(async () => {
    const filter = { subject: testSubject, address: 'x@mail.test', maxBytes }
    await openMailbox(url, filter, { clock }).open()
  })
}

test('a wrong password, a refused connection, an unknown host and missing TLS give one clear line each', {
  skip,
}, async () => {
  const { imap } = office.ports
  const login = await openingProblem(`imap://ann%40mail.test:hunter2@127.0.0.1:${imap}`)
  assert.equal(login.code, 'mail-login')
  assert.match(login.line, /does not let ann@mail\.test in.*app password/)
  const refused = await openingProblem('imap://ann:hunter2@127.0.0.1:1')
  assert.equal(refused.code, 'mail-connection')
  assert.match(refused.line, /127\.0\.0\.1:1 refuses/)
  const unknown = await openingProblem('imaps://ann:hunter2@no-such-host.invalid')
  assert.equal(unknown.code, 'mail-connection')
  assert.match(unknown.line, /no-such-host\.invalid/)
  const noTls = await openingProblem(`imaps://ann:hunter2@127.0.0.1:${imap}`)
  assert.equal(noTls.code, 'mail-tls')
  // 0.0.0.0 does not count as loopback, but the server on loopback answers there. It offers no STARTTLS.
  const inClear = await openingProblem(`imap://ann:hunter2@0.0.0.0:${imap}`)
  assert.equal(inClear.code, 'mail-tls')
  assert.match(inClear.line, /not sent to it in clear.*tls=never/)
  const missing = await openingProblem(`imap://ann@127.0.0.1:${imap}`)
  assert.equal(missing.code, 'config')
})

test('a dead connection is noticed and replaced', { skip }, async () => {
  const proxy = await startConnectionProxy({ port: office.ports.imap })
  const url = office.imapUrl('erin').replace(/:\d+$/, `:${proxy.port}`)
  const { mailbox, watched } = mailboxOf('erin', { watchdogMs: 100, answerMs: 150 }, url)
  await mailbox.open()
  await mailbox.fetch(10)
  proxy.goDead('pass')
  const lost = await watched.nextState('disconnected')
  assert.match(lost.state === 'disconnected' ? lost.reason : '', /not answer/)
  const sender = createSender(office.smtpUrl('bob'), { clock })
  const raw = rawMail({ to: office.address('erin'), text: 'after' })
  const sent = await sender.send({ from: office.address('bob'), to: [office.address('erin')], raw })
  assert.equal(sent.outcome, 'sent')
  await sender.close()
  await watched.nextState('connected')
  assert.equal((await fetchUntil(mailbox, watched, 1)).length, 1)
  assert.ok(proxy.accepted() >= 2)
  await mailbox.close()
  await proxy.stop()
})

test('after a change of network a dead connection is dropped within seconds, and a live one is kept', {
  skip,
}, async () => {
  const proxy = await startConnectionProxy({ port: office.ports.imap })
  const url = office.imapUrl('erin').replace(/:\d+$/, `:${proxy.port}`)
  const { mailbox, watched } = mailboxOf('erin', {}, url)
  await mailbox.open()
  await watched.nextState('connected')
  mailbox.check?.()
  await mailbox.fetch(1)
  assert.equal(proxy.accepted(), 1)
  proxy.goDead('pass')
  mailbox.check?.()
  const lost = await watched.nextState('disconnected')
  assert.match(lost.state === 'disconnected' ? lost.reason : '', /not answer/)
  await watched.nextState('connected')
  assert.equal(proxy.accepted(), 2)
  await mailbox.close()
  await proxy.stop()
})

test('an operation on a dead connection ends with a Problem', { skip }, async () => {
  const proxy = await startConnectionProxy({ port: office.ports.imap })
  const url = office.imapUrl('finn').replace(/:\d+$/, `:${proxy.port}`)
  const { mailbox, watched } = mailboxOf('finn', { operationMs: 150 }, url)
  await mailbox.open()
  proxy.goDead('refuse')
  await assert.rejects(
    mailbox.fetch(10),
    (error) => error instanceof Problem && error.code === 'mail-connection',
  )
  await watched.nextState('disconnected')
  proxy.heal()
  await watched.nextState('connected')
  await mailbox.fetch(10)
  await mailbox.close()
  await proxy.stop()
})

test('after a changed password the mailbox waits long before the next login', {
  skip,
}, async () => {
  const proxy = await startConnectionProxy({ port: office.ports.imap })
  const url = new URL(office.imapUrl('gus').replace(/:\d+$/, `:${proxy.port}`))
  const { mailbox, watched } = mailboxOf(
    'gus',
    { loginRetry: { firstMs: 600_000, lastMs: 600_000 } },
    url.href,
  )
  await mailbox.open()
  const own = await startMailServers({ password: 'changed' })
  proxy.retarget(own.ports.imap)
  proxy.cut()
  const [first, second] = [await watched.nextState('disconnected'), await watched.nextState('disconnected')]
  assert.ok(first.state === 'disconnected' && first.retryInMs <= 200)
  assert.ok(second.state === 'disconnected' && second.retryInMs >= 300_000, JSON.stringify(second))
  await mailbox.close()
  await proxy.stop()
  await own.stop()
})

test('closing ends the mailbox without further states', { skip }, async () => {
  const { mailbox, watched } = mailboxOf('hal')
  await mailbox.open()
  await mailbox.close()
  await mailbox.close()
  assert.deepEqual(watched.states, [{ state: 'connected' }])
  await assert.rejects(mailbox.fetch(1), Problem)
})

test('a server without IDLE is polled over one connection', { skip }, async () => {
  const own = await startMailServers({ imapCapability: 'IMAP4rev1 UIDPLUS LITERAL+' })
  const proxy = await startConnectionProxy({ port: own.ports.imap })
  try {
    const filter = { subject: testSubject, address: own.address('joe'), maxBytes }
    const url = own.imapUrl('joe').replace(/:\d+$/, `:${proxy.port}`)
    const mailbox = openMailbox(url, filter, { clock, imap: { pollMs: 200, rescanMs: 600_000 } })
    const watched = watchMailbox(mailbox)
    await mailbox.open()
    await watched.nextWake()
    assert.deepEqual(await mailbox.fetch(10), [])
    for (const text of ['first', 'second']) {
      dropMail(own.maildirOf('joe'), rawMail({ to: own.address('joe'), text }))
      const [mail] = await fetchUntil(mailbox, watched, 1)
      assert.match(textOf(mail), new RegExp(text))
      await mailbox.remove([mail?.ref ?? ''])
    }
    assert.equal(proxy.accepted(), 1)
    await mailbox.close()
  } finally {
    await proxy.stop()
    await own.stop()
  }
})
