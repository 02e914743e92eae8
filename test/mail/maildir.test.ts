import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { createMaildirDelivery, makeMaildir } from '../../src/mail/maildir/maildir-delivery.ts'
import { openMailbox } from '../../src/mail/open-mailbox.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { fetchUntil, rawMail, testSubject, textOf, watchMailbox } from '../harness/mailbox-helpers.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const address = 'host@mail.test'
const filter = { subject: testSubject, address, maxBytes: 10_000 }

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'maildir-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function openMaildir(t: TestContext, clock = systemClock) {
  const folder = await temporaryFolder(t)
  await makeMaildir(folder)
  const notices: string[] = []
  const mailbox = openMailbox(`maildir:${encodeURI(folder)}`, filter, {
    clock,
    maildirPollMs: 30,
    notice: (line) => notices.push(line),
  })
  t.after(() => mailbox.close())
  return { folder, mailbox, watched: watchMailbox(mailbox), notices }
}

const letter = (text: string) => rawMail({ to: address, text })

test('a delivered mail is announced, fetched again and again, and gone after removal', async (t) => {
  const { folder, mailbox, watched } = await openMaildir(t)
  await mailbox.open()
  assert.deepEqual(await mailbox.fetch(10), [])
  const delivery = createMaildirDelivery(systemClock)
  await delivery.deliver(folder, letter('hello'))
  const [mail] = await fetchUntil(mailbox, watched, 1)
  assert.ok(mail)
  assert.deepEqual(mail.raw, letter('hello'))
  assert.deepEqual(await mailbox.fetch(10), [mail])
  assert.deepEqual(await mailbox.fetch(10, new Set([mail.ref])), [])
  // Another program reads the mailbox: the mail moves to cur/, and its name stays.
  renameSync(join(folder, 'new', mail.ref), join(folder, 'cur', `${mail.ref}:2,S`))
  assert.deepEqual(await mailbox.fetch(10), [mail])
  await mailbox.remove([mail.ref, '../../etc/passwd', 'unknown', ''])
  await mailbox.remove([])
  assert.deepEqual(await mailbox.fetch(10), [])
  assert.deepEqual([...readdirSync(join(folder, 'cur')), ...readdirSync(join(folder, 'tmp'))], [])
})

test('mails come oldest first, from new/ and cur/', async (t) => {
  const { folder, mailbox } = await openMaildir(t)
  const names = [
    'new/900.M5P1.h',
    'cur/1000.M20P1.h:2,',
    'new/1000.M100P1.h',
    'cur/1000.M1000P1.h:2,RS',
    'new/1001.h',
  ]
  for (const name of names.toReversed()) writeFileSync(join(folder, name), letter(name))
  await mailbox.open()
  const texts = (await mailbox.fetch(10)).map((mail) => textOf(mail).split('\r\n\r\n')[1]?.trim())
  assert.deepEqual(texts, names)
  assert.equal((await mailbox.fetch(2)).length, 2)
})

test('foreign, deleted, irregular and missing files are ignored', async (t) => {
  const { folder, mailbox, notices } = await openMaildir(t)
  const put = (name: string, raw: Uint8Array | string) => writeFileSync(join(folder, name), raw)
  for (let i = 0; i < 300; i++) put(`cur/${i}.h:2,S`, rawMail({ to: address, subject: `Lunch ${i}` }))
  put('cur/500.h:2,ST', letter('marked as deleted'))
  put('new/.hidden', letter('hidden'))
  put('new/501.h', rawMail({ to: 'somebody@else.test' }))
  put('new/502.h', '')
  put('new/503.h', 'x'.repeat(200_000))
  put('tmp/504.h', letter('half delivered'))
  mkdirSync(join(folder, 'new/505.h'))
  symlinkSync('/etc/passwd', join(folder, 'new/506.h'))
  symlinkSync('/nowhere', join(folder, 'new/507.h'))
  put('new/600.h', letter('ours'))
  const before = ['new', 'cur', 'tmp'].flatMap((part) => readdirSync(join(folder, part)))
  await mailbox.open()
  const mails = await mailbox.fetch(100)
  assert.deepEqual(
    mails.map(({ ref }) => ref),
    ['600.h'],
  )
  rmSync(join(folder, 'new/600.h'))
  assert.deepEqual(await mailbox.fetch(100), [])
  await mailbox.remove(['600.h'])
  const left = ['new', 'cur', 'tmp'].flatMap((part) => readdirSync(join(folder, part)))
  assert.deepEqual(
    left,
    before.filter((name) => name !== '600.h'),
  )
  assert.ok(readFileSync('/etc/passwd').length > 0)
  assert.deepEqual(notices, [])
})

test('a mail larger than the limit is shown without its bytes', async (t) => {
  const { folder, mailbox } = await openMaildir(t)
  const raw = letter('y'.repeat(filter.maxBytes))
  writeFileSync(join(folder, 'new/1.h'), raw)
  await mailbox.open()
  assert.deepEqual(await mailbox.fetch(10), [{ ref: '1.h', raw: null, sizeBytes: raw.length }])
})

test('a missing folder, or one that is not a Maildir, is a Problem that names it', async (t) => {
  const folder = await temporaryFolder(t)
  for (const path of [join(folder, 'missing'), folder, '/etc/passwd']) {
    const mailbox = openMailbox(`maildir:${path}`, filter, { clock: systemClock })
    await assert.rejects(mailbox.open(), (error) => {
      assert.ok(error instanceof Problem && error.code === 'file')
      return error.line.includes(path)
    })
  }
})

test('when the folder is gone the mailbox is disconnected, and it continues when the folder is back', async (t) => {
  const { folder, mailbox, watched } = await openMaildir(t)
  await mailbox.open()
  await watched.nextState('connected')
  renameSync(folder, `${folder}.away`)
  t.after(() => rmSync(`${folder}.away`, { recursive: true, force: true }))
  const lost = await watched.nextState('disconnected')
  assert.ok(lost.state === 'disconnected' && lost.reason.includes(folder))
  await assert.rejects(mailbox.fetch(1), Problem)
  renameSync(`${folder}.away`, folder)
  await watched.nextState('connected')
  writeFileSync(join(folder, 'new/1.h'), letter('back'))
  assert.equal((await fetchUntil(mailbox, watched, 1)).length, 1)
})

test('closing stops all timers', async (t) => {
  const clock = new VirtualClock()
  const { mailbox } = await openMaildir(t, clock)
  await mailbox.open()
  assert.equal(clock.pendingTimers, 1)
  await mailbox.close()
  assert.equal(clock.pendingTimers, 0)
  await assert.rejects(mailbox.fetch(1), Problem)
})

test('openMailbox accepts POP3 and Mailpit URLs', async () => {
  for (const url of ['pop3://u:p@h', 'pop3s://u:p@h', 'mailpit+http://h', 'mailpit+https://h']) {
    await openMailbox(url, filter, { clock: systemClock }).close()
  }
})
