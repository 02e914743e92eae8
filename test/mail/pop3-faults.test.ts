// Refusals and faults of POP3 servers, from a scripted server, and STLS on a real Dovecot.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Clock } from '../../src/base/clock.ts'
import { Problem } from '../../src/base/problem.ts'
import { openMailbox } from '../../src/mail/open-mailbox.ts'
import type { Pop3Timing } from '../../src/mail/pop3/pop3-mailbox.ts'
import { systemClock as clock } from '../../src/runtime/system-clock.ts'
import { deferIn } from '../harness/defer.ts'
import { startMailServers } from '../harness/mail-servers.ts'
import { fetchUntil, rawMail, testSubject, textOf, watchMailbox } from '../harness/mailbox-helpers.ts'
import { dropMail } from '../harness/maildir-files.ts'
import { lacks } from '../harness/needs.ts'
import { type Pop3Script, startScriptedPop3 } from '../harness/scripted-pop3.ts'

const address = 'ann@mail.test'
const maxBytes = 20_000
const quick = { pollMs: 30, lingerMs: 30, retry: { firstMs: 20, lastMs: 40 } }

const letter = (text = 'hello') => Buffer.from(rawMail({ to: address, text })).toString()

async function stage(context: TestContext, script: Partial<Pop3Script>, timing: Partial<Pop3Timing> = {}) {
  const defer = deferIn(context)
  const server = await startScriptedPop3(script)
  defer(() => server.stop())
  /** The delays of all timers. */
  const delays: number[] = []
  const watchedClock: Clock = {
    ...clock,
    after(delayMs, callback) {
      delays.push(delayMs)
      return clock.after(delayMs, callback)
    },
  }
  const make = (settings = '') => {
    const filter = { subject: testSubject, address, maxBytes }
    const url = `pop3://ann:secret@127.0.0.1:${server.port}${settings}`
    const mailbox = openMailbox(url, filter, { clock: watchedClock, pop3: { ...quick, ...timing } })
    defer(() => mailbox.close())
    return { mailbox, watched: watchMailbox(mailbox) }
  }
  return { server, make, delays, ...make() }
}

test('a mailbox that another program has locked is polled again, also at the start', async (context) => {
  let locked = true
  const { mailbox, watched, server } = await stage(context, {
    mails: new Map([['a', letter()]]),
    answer: (command) => (locked && command.startsWith('PASS') ? '-ERR [IN-USE] locked' : undefined),
  })
  await mailbox.open()
  const state = await watched.nextState('disconnected')
  assert.match(state.state === 'disconnected' ? state.reason : '', /locked for another program/)
  await assert.rejects(
    mailbox.fetch(1),
    (error) => error instanceof Problem && error.code === 'mail-connection',
  )
  locked = false
  await watched.nextState('connected')
  assert.equal((await fetchUntil(mailbox, watched, 1)).length, 1)
  assert.ok(server.commands.includes('TOP 1 0'))
})

test('without a code the text distinguishes a locked mailbox from a wrong password', async (context) => {
  for (const [answer, code] of [
    ['-ERR maildrop already locked', null],
    ['-ERR POP3 mailbox in use by another session', null],
    ['-ERR login failed', 'mail-login'],
    ['-ERR [AUTH] no', 'mail-login'],
    ['-ERR your account is locked', 'mail-login'],
  ] as const) {
    const { mailbox } = await stage(context, {
      answer: (text) => (text.startsWith('PASS') ? answer : undefined),
    })
    const problem = await mailbox.open().then(
      () => null,
      (error: unknown) => error as Problem,
    )
    assert.equal(problem?.code ?? null, code, answer)
    assert.doesNotMatch(problem?.line ?? '', /secret/)
  }
})

test('the time between two logins that a server demands is kept', async (context) => {
  const { mailbox, server, delays } = await stage(context, {
    capabilities: ['USER', 'UIDL', 'TOP', 'LOGIN-DELAY 3600 USER'],
    mails: new Map([['a', letter()]]),
  })
  await mailbox.open()
  const [mail] = await mailbox.fetch(1)
  assert.ok(mail)
  await mailbox.remove([mail.ref])
  while (server.script.mails.size > 0) await new Promise((resolve) => setTimeout(resolve, 10))
  // Several polls would be due by now. None of these calls may poll.
  assert.deepEqual(await mailbox.fetch(1), [])
  await mailbox.remove(['b'])
  mailbox.check?.()
  assert.ok((delays.at(-1) ?? 0) > 3_500_000, String(delays.at(-1)))
  await mailbox.close()
  assert.equal(server.commands.filter((command) => command === 'connect').length, 1)
})

test('a server that refuses frequent logins is polled less often', async (context) => {
  let refused = 0
  const { mailbox, watched } = await stage(context, {
    answer: (command) =>
      command.startsWith('PASS') && ++refused > 1 ? '-ERR [LOGIN-DELAY] minimum time is 900 s' : undefined,
  })
  await mailbox.open()
  const state = await watched.nextState('disconnected')
  assert.ok(state.state === 'disconnected' && state.retryInMs >= 30_000, JSON.stringify(state))
  assert.match(state.reason, /more often than it allows/)
})

test('after a refused password the mailbox waits long', async (context) => {
  let logins = 0
  const { mailbox, watched, delays } = await stage(context, {
    answer: (command) => (command.startsWith('PASS') && ++logins > 1 ? '-ERR [AUTH] wrong' : undefined),
  })
  await mailbox.open()
  const state = await watched.nextState('disconnected')
  assert.ok(state.state === 'disconnected' && state.retryInMs >= 150_000, JSON.stringify(state))
  // A change of network does not shorten the wait.
  const timers = delays.length
  mailbox.check?.()
  assert.equal(delays.length, timers)
})

test('when all IDs change, the mails are only read again', async (context) => {
  const { mailbox, server, watched } = await stage(context, {
    mails: new Map([
      ['a', letter()],
      ['b', 'Subject: lunch\r\n\r\nfood\r\n'],
    ]),
  })
  await mailbox.open()
  const [first] = await fetchUntil(mailbox, watched, 1)
  assert.equal(first?.ref, 'a')
  server.script.mails = new Map(
    [...server.script.mails].map(([id, mail]) => [`new-${id}`, `X: y\r\n${mail}`]),
  )
  for (;;) {
    const [mail] = await fetchUntil(mailbox, watched, 1)
    if (mail?.ref !== 'new-a') continue
    await mailbox.remove([mail.ref])
    break
  }
  while (server.script.mails.size > 1) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.deepEqual([...server.script.mails.keys()], ['new-b'])
})

test('a letter as long as the one just deleted is found', async (context) => {
  const { mailbox, server, watched } = await stage(context, { mails: new Map() }, { listMs: 600_000 })
  await mailbox.open()
  for (const id of ['a', 'b', 'c']) {
    server.script.mails.set(id, letter(id))
    const [mail] = await fetchUntil(mailbox, watched, 1)
    assert.equal(mail?.ref, id)
    await mailbox.remove([id])
    while (server.script.mails.size > 0) await new Promise((resolve) => setTimeout(resolve, 10))
  }
})

test('servers without CAPA, TOP or pipelining can be read', async (context) => {
  const long = `Subject: ${testSubject}\r\nTo: ${address}\r\n\r\n${'x'.repeat(2 * maxBytes)}\r\n`
  for (const capabilities of [null, ['USER', 'UIDL'], ['SASL PLAIN LOGIN', 'UIDL', 'TOP']]) {
    const { mailbox, server } = await stage(context, {
      capabilities,
      mails: new Map([
        ['a', 'Subject: lunch\r\n\r\n.dots\r\n'],
        ['b', letter('mine')],
        ['c', long],
      ]),
    })
    await mailbox.open()
    const mails = await mailbox.fetch(10)
    assert.match(textOf(mails[0]), /mine\r\n$/)
    // Without TOP a large mail must be downloaded to know whether it is foreign, so it is not shown.
    assert.equal(mails.length, capabilities?.includes('TOP') === false ? 1 : 2)
    const login = Buffer.from('\0ann\0secret').toString('base64')
    const expected = capabilities?.[0]?.startsWith('SASL') ? `AUTH PLAIN ${login}` : 'PASS secret'
    assert.ok(server.commands.includes(expected), server.commands.join())
    await mailbox.close()
  }
})

test('a server without UIDL is refused with a remedy', async (context) => {
  const { mailbox } = await stage(context, {
    answer: (command) => (command === 'UIDL' ? '-ERR unknown command' : undefined),
  })
  await assert.rejects(
    mailbox.open(),
    (error) =>
      error instanceof Problem &&
      /does not list its mails \(UIDL: unknown command\)\. Use IMAP/.test(error.line),
  )
})

test('mails with a wrong size or an endless header do not delay others', async (context) => {
  const endless = `Subject: ${testSubject}\r\nTo: ${address}\r\nX: ${'y'.repeat(300_000)}`
  const { mailbox } = await stage(context, {
    mails: new Map([
      ['endless', endless],
      ['liar', letter('z'.repeat(3 * maxBytes))],
      ['good', letter('good')],
    ]),
    answer: (command) => (command === 'LIST' ? '+OK\r\n1 10\r\n2 10\r\n3 10\r\n.' : undefined),
  })
  await mailbox.open()
  const mails = await mailbox.fetch(10)
  assert.deepEqual(
    mails.map(({ ref, raw }) => [ref, raw === null]),
    [
      ['endless', true],
      ['liar', true],
      ['good', false],
    ],
  )
})

test('a bounce of our mail is shown, and other bounces are not downloaded', async (context) => {
  const report = (about: string) =>
    `From: MAILER-DAEMON@mail.test\r\nTo: ${address}\r\nSubject: Undelivered\r\n\r\nMessage-ID: <${about}>\r\n`
  const { mailbox, server } = await stage(context, {
    mails: new Map([
      ['theirs', report('theirs')],
      ['ours', report('ours')],
    ]),
  })
  await mailbox.open({ isOurReport: (raw) => Buffer.from(raw).includes('<ours>') })
  assert.deepEqual(
    (await mailbox.fetch(10)).map(({ ref }) => ref),
    ['ours'],
  )
  assert.deepEqual(
    server.commands.filter((command) => command.startsWith('RETR')),
    ['RETR 2'],
  )
})

test('bytes before the TLS handshake are refused', async (context) => {
  const { make } = await stage(context, {
    capabilities: ['STLS', 'USER'],
    answer: (command) => (command === 'STLS' ? '+OK\r\n+OK injected' : undefined),
  })
  await assert.rejects(
    make().mailbox.open(),
    (error) => error instanceof Problem && /before TLS began/.test(error.line),
  )
})

test('STLS is used if offered, and a self-signed certificate is accepted only on loopback', {
  skip: lacks('postfix', 'dovecot'),
}, async (context) => {
  const defer = deferIn(context)
  const office = await startMailServers({ tls: true })
  defer(() => office.stop())
  dropMail(office.maildirOf('ann'), rawMail({ to: address, text: 'over TLS' }))
  const filter = { subject: testSubject, address, maxBytes }
  for (const settings of ['', '?tls=never']) {
    const mailbox = openMailbox(`${office.pop3Url('ann')}${settings}`, filter, { clock, pop3: quick })
    defer(() => mailbox.close())
    await mailbox.open()
    assert.match(textOf((await mailbox.fetch(1))[0]), /over TLS/)
    await mailbox.close()
  }
  const elsewhere = office.pop3Url('ann').replace('127.0.0.1', '0.0.0.0')
  await assert.rejects(
    openMailbox(elsewhere, filter, { clock, pop3: quick }).open(),
    (error) => error instanceof Problem && error.code === 'mail-tls' && /can be trusted/.test(error.line),
  )
})
