// Uses the real Mailpit if it is on the PATH, or else a simulated one.

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import type { MailpitTimings } from '../../src/mail/mailpit/mailpit-mailbox.ts'
import { createSender, openMailbox } from '../../src/mail/open-mailbox.ts'
import { systemClock as clock } from '../../src/runtime/system-clock.ts'
import { startConnectionProxy } from '../harness/connection-proxy.ts'
import { deferIn } from '../harness/defer.ts'
import { fetchUntil, rawMail, testSubject, textOf, watchMailbox } from '../harness/mailbox-helpers.ts'
import { foreignMails } from '../harness/maildir-files.ts'
import { type MailpitOptions, startMailpit } from '../harness/mailpit.ts'
import { problemOf } from '../harness/problem-of.ts'

const address = 'ann@mail.test'
const maxBytes = 20_000
const filter = { subject: testSubject, address, maxBytes }

async function stage(context: TestContext, options: MailpitOptions = {}) {
  const defer = deferIn(context)
  const mailpit = await startMailpit(options)
  defer(() => mailpit.stop())
  const open = async (
    url = `mailpit+http://127.0.0.1:${mailpit.webPort}`,
    timing: Partial<MailpitTimings> = {},
  ) => {
    const mailbox = openMailbox(url, filter, { clock, mailpit: timing })
    const watched = watchMailbox(mailbox)
    defer(() => mailbox.close())
    await mailbox.open()
    return { mailbox, watched }
  }
  return { mailpit, open, defer }
}

const letter = (text: string, to = address) => rawMail({ to, text })

test('a mail sent by SMTP is announced, fetched with the same bytes, and gone after removal', async (context) => {
  const { mailpit, open, defer } = await stage(context)
  // Polling is too slow here, so the WebSocket must announce the mail.
  const { mailbox, watched } = await open(undefined, { listenMs: 600_000, pollMs: 600_000 })
  await watched.nextWake()
  assert.deepEqual(await mailbox.fetch(10), [])
  const sender = createSender(`smtp://127.0.0.1:${mailpit.smtpPort}`, { clock })
  defer(() => sender.close())
  const raw = letter('hello\r\n.\r\n..\r\nFrom here')
  assert.deepEqual(await sender.send({ from: 'bob@mail.test', to: [address], raw }), { outcome: 'sent' })
  const [first] = await fetchUntil(mailbox, watched, 1)
  assert.ok(first && textOf(first).endsWith(Buffer.from(raw).toString()), textOf(first))
  assert.deepEqual(await mailbox.fetch(10), [first], 'it comes again until it is removed')
  assert.deepEqual(await mailbox.fetch(10, new Set([first.ref])), [])
  await mailbox.remove([first.ref])
  assert.deepEqual(await mailbox.fetch(10), [])
  assert.deepEqual(await mailpit.mails(), [])
})

test('mails of other recipients are never read or deleted', async (context) => {
  const { mailpit, open } = await stage(context)
  const others = [
    ...foreignMails(address, 60).map(({ raw }) => raw),
    ...['xann@mail.test', 'ann@mail.test.example', 'ann@mail.tes'].map((to) => letter('not yours', to)),
  ]
  await mailpit.deliver(others)
  const before = await mailpit.mails()
  await mailpit.deliver([letter('mine')])
  const { mailbox } = await open()
  const mails = await mailbox.fetch(100)
  assert.deepEqual(mails.length, 1)
  await mailbox.remove([])
  await mailbox.remove(['', 'nonsense', '../messages', before[0]?.id ?? ''])
  assert.equal((await mailpit.mails()).length, before.length + 1)
  await mailbox.remove([...mails.map(({ ref }) => ref), ...before.map(({ id }) => id)])
  assert.deepEqual(await mailpit.mails(), before)
})

test('a backlog of several pages is fetched oldest first, each mail once', async (context) => {
  const { mailpit, open } = await stage(context)
  await mailpit.deliver(Array.from({ length: 1_120 }, (_, i) => letter(`n${i}.`)))
  const { mailbox } = await open()
  const seen: number[] = []
  for (;;) {
    const mails = await mailbox.fetch(200)
    if (mails.length === 0) break
    seen.push(...mails.map((mail) => Number(/n(\d+)\./.exec(textOf(mail))?.[1])))
    await mailbox.remove(mails.map(({ ref }) => ref))
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 1_120 }, (_, i) => i),
  )
  assert.deepEqual(await mailpit.mails(), [])
})

test('a mail larger than the limit is shown without its bytes and can be removed', async (context) => {
  const { mailpit, open } = await stage(context)
  await mailpit.deliver([letter('x\r\n'.repeat(maxBytes))])
  const { mailbox } = await open()
  const [mail] = await mailbox.fetch(10)
  assert.equal(mail?.raw, null)
  assert.ok(mail && mail.sizeBytes > maxBytes)
  await mailbox.remove([mail.ref])
  assert.deepEqual(await mailpit.mails(), [])
})

test('password and root path are used, and wrong ones are reported', async (context) => {
  const login = { user: 'dev', password: 's3cret' }
  const { mailpit, open } = await stage(context, { login, root: '/mail' })
  await mailpit.deliver([letter('hello')])
  const server = `127.0.0.1:${mailpit.webPort}`
  const { mailbox, watched } = await open(`mailpit+http://dev:s3cret@${server}/mail`, { listenMs: 600_000 })
  assert.equal((await mailbox.fetch(1)).length, 1)
  // The WebSocket uses the password, too.
  await mailpit.deliver([letter('again')])
  await fetchUntil(mailbox, watched, 2)
  const wrong = await problemOf(() => open(`mailpit+http://dev:hunter2@${server}/mail`))
  assert.equal(wrong.code, 'mail-login')
  assert.match(wrong.line, /Mailpit server .* does not let dev in/)
  const lost = await problemOf(() => open(`mailpit+http://dev:s3cret@${server}/nowhere`))
  assert.match(lost.line, /HTTP status 404.*PATH/)
})

test('each server that is not Mailpit gives one clear line, and no password is sent in clear text', async (context) => {
  const { open, defer } = await stage(context)
  assert.match((await problemOf(() => open('mailpit+http://127.0.0.1:1'))).line, /127\.0\.0\.1:1 refuses/)
  assert.match((await problemOf(() => open('mailpit+http://no-such-host.invalid'))).line, /no-such-host/)
  const inClear = await problemOf(() => open('mailpit+http://dev:hunter2@192.0.2.1:8025'))
  assert.equal(inClear.code, 'mail-tls')
  assert.match(inClear.line, /mailpit\+https:/)
  const silent = createServer((socket) => defer(() => socket.destroy()))
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  defer(() => new Promise((resolve) => silent.close(resolve)))
  const { port } = silent.address() as { port: number }
  const late = await problemOf(() => open(`mailpit+http://127.0.0.1:${port}`, { answerMs: 100 }))
  assert.match(late.line, /not answered/)
})

test('when Mailpit stops and starts again the mailbox continues, also without the WebSocket', async (context) => {
  const { mailpit, open, defer } = await stage(context)
  const proxy = await startConnectionProxy({ port: mailpit.webPort })
  defer(() => proxy.stop())
  const { mailbox, watched } = await open(`mailpit+http://127.0.0.1:${proxy.port}`, {
    pollMs: 30,
    listenMs: 50,
    answerMs: 200,
    retry: { firstMs: 20, lastMs: 50 },
  })
  await mailbox.fetch(1)
  proxy.goDead('refuse')
  await watched.nextState('disconnected')
  await assert.rejects(
    mailbox.fetch(1),
    (error) => error instanceof Problem && error.code === 'mail-connection',
  )
  await mailpit.deliver([letter('while away')])
  proxy.heal()
  await watched.nextState('connected')
  assert.equal((await fetchUntil(mailbox, watched, 1)).length, 1)
})
