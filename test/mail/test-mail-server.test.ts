import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { createSender, openMailbox } from '../../src/mail/open-mailbox.ts'
import { TestMailServer } from '../../src/mail/test-mail-server.ts'
import { systemClock as clock } from '../../src/runtime/system-clock.ts'
import { fetchUntil, rawMail, testSubject, textOf, watchMailbox } from '../harness/mailbox-helpers.ts'

async function startServer(t: TestContext, options = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'embedded-'))
  const server = new TestMailServer({ clock, folder, domain: 'demo.test', maxBytes: 50_000, ...options })
  const port = await server.start()
  const sender = createSender(`smtp://127.0.0.1:${port}`, { clock })
  t.after(async () => {
    await sender.close()
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const send = (to: string, text = 'x') =>
    sender.send({ from: 'ann@demo.test', to: [to], raw: rawMail({ to, text }) })
  return { folder, server, port, sender, send }
}

test('a mail for any name of the domain is delivered into its Maildir', async (t) => {
  const { server, send } = await startServer(t)
  const maildir = await server.maildirOf('host@demo.test')
  const filter = { subject: testSubject, address: 'host@demo.test', maxBytes: 50_000 }
  const mailbox = openMailbox(`maildir:${maildir}`, filter, { clock })
  t.after(() => mailbox.close())
  const watched = watchMailbox(mailbox)
  await mailbox.open()
  assert.deepEqual(await send('Host@Demo.test', 'one\r\n.two'), { outcome: 'sent' })
  const [mail] = await fetchUntil(mailbox, watched, 1)
  assert.match(textOf(mail), /^Delivered-To: host@demo\.test\r\nFrom: .*one\r\n\.two\r\n$/s)
})

test('other domains, invalid names and mails that are too big are refused without any file', async (t) => {
  const { folder, send } = await startServer(t)
  const invalid = [
    'a@other.test',
    '..@demo.test',
    'a/b@demo.test',
    '.a@demo.test',
    `${'a'.repeat(65)}@demo.test`,
    '~@demo.test',
  ]
  for (const to of invalid) assert.equal((await send(to)).outcome, 'refused', to)
  assert.equal((await send('big@demo.test', 'x\r\n'.repeat(30_000))).outcome, 'refused')
  assert.deepEqual(readdirSync(folder), [])
})

test('the number of mailboxes is limited', async (t) => {
  const { folder, server, send } = await startServer(t, { maxMailboxes: 2 })
  assert.equal((await send('a@demo.test')).outcome, 'sent')
  assert.equal((await send('b@demo.test')).outcome, 'sent')
  assert.equal((await send('c@demo.test')).outcome, 'later')
  assert.equal((await send('a@demo.test')).outcome, 'sent')
  assert.equal(readdirSync(folder).length, 2)
  await assert.rejects(server.maildirOf('d@demo.test'), Problem)
})

test('many mails at once are all delivered', async (t) => {
  const { folder, send } = await startServer(t)
  const results = await Promise.all(Array.from({ length: 60 }, (_, i) => send('many@demo.test', String(i))))
  assert.ok(results.every(({ outcome }) => outcome === 'sent'))
  assert.equal(readdirSync(join(folder, 'many/new')).length, 60)
  assert.equal(readdirSync(join(folder, 'many/tmp')).length, 0)
})

test('a used port and an address that is not loopback are Problems', async (t) => {
  const { folder, port } = await startServer(t)
  const second = new TestMailServer({ clock, folder, domain: 'demo.test', port })
  await assert.rejects(second.start(), (error) => error instanceof Problem && error.code === 'port-taken')
  assert.throws(() => new TestMailServer({ clock, folder, domain: 'demo.test', listen: '0.0.0.0' }), Problem)
})
