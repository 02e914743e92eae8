import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { composeMail } from '../../src/mail/mime/compose-mail.ts'
import { createSender, openMailbox } from '../../src/mail/open-mailbox.ts'
import { systemClock as clock } from '../../src/runtime/system-clock.ts'
import { type MailServers, startMailServers } from '../harness/mail-servers.ts'
import { fetchUntil, rawMail, testSubject, textOf, watchMailbox } from '../harness/mailbox-helpers.ts'
import { dropMail, maildirSnapshot } from '../harness/maildir-files.ts'
import { lacks } from '../harness/needs.ts'

const skip = lacks('postfix', 'dovecot')
let office: MailServers

before(async () => {
  if (!skip) office = await startMailServers()
})
after(async () => {
  if (!skip) await office.stop()
})

const maxBytes = 20_000

function mailboxOf(user: string, url = office.imapUrl(user)) {
  const filter = { subject: testSubject, address: office.address(user), maxBytes }
  const mailbox = openMailbox(url, filter, { clock })
  return { mailbox, watched: watchMailbox(mailbox) }
}

const drop = (user: string, raw: Uint8Array, flags?: string) => dropMail(office.maildirOf(user), raw, flags)
const snapshot = (user: string) => maildirSnapshot(office.maildirOf(user))

test('a mail sent by SMTP is announced, fetched with the same bytes, and gone after removal', {
  skip,
}, async () => {
  const { mailbox, watched } = mailboxOf('ann')
  await mailbox.open()
  await watched.nextWake()
  assert.deepEqual(await mailbox.fetch(10), [])
  const sender = createSender(office.smtpUrl('bob'), { clock })
  const raw = await composeMail({
    from: office.address('bob'),
    to: [office.address('ann')],
    subject: testSubject,
    text: 'hello\n.\nFrom here\n',
    messageId: '<one@mail.test>',
    date: Date.now(),
    auto: 'generated',
  })
  const mail = { from: office.address('bob'), to: [office.address('ann')], raw }
  assert.deepEqual(await sender.send(mail), { outcome: 'sent' })
  const [first] = await fetchUntil(mailbox, watched, 1)
  assert.ok(first && textOf(first).endsWith(Buffer.from(raw).toString()))
  assert.equal(first.sizeBytes, first.raw?.length)

  assert.deepEqual(await mailbox.fetch(10), [first], 'it comes again until it is removed')
  assert.deepEqual(await mailbox.fetch(10, new Set([first.ref])), [])
  await mailbox.remove([first.ref, '1:1', 'nonsense', ''])
  await mailbox.remove([])
  assert.deepEqual(await mailbox.fetch(10), [])
  assert.equal(snapshot('ann').size, 0)
  await sender.close()
  await mailbox.close()
})

test('foreign mails are not marked, changed or moved', { skip }, async () => {
  const user = 'crowd'
  for (let i = 0; i < 500; i++) {
    const kind = i % 5
    if (kind === 0) drop(user, rawMail({ to: office.address(user), subject: `Lunch ${i}` }))
    if (kind === 1) drop(user, rawMail({ to: office.address(user), subject: `Re: ${testSubject}` }))
    if (kind === 2) drop(user, rawMail({ to: 'somebody@else.test' }))
    if (kind === 3) drop(user, rawMail({ to: office.address(user), subject: 'Seen', text: testSubject }), 'S')
    if (kind === 4) drop(user, rawMail({ to: 'somebody@else.test', subject: testSubject }), 'T')
  }
  // Dovecot gives a mail its UID when it sees it for the first time.
  const { mailbox: earlier } = mailboxOf(user)
  await earlier.open()
  await earlier.close()
  const foreign = snapshot(user)
  assert.equal(foreign.size, 500)
  const ours = [0, 1, 2].map((i) => rawMail({ to: office.address(user), text: `letter ${i}` }))
  for (const raw of ours) drop(user, raw)

  const { mailbox } = mailboxOf(user)
  await mailbox.open()
  const mails = await mailbox.fetch(100)
  assert.deepEqual(
    mails.map((mail) => textOf(mail).trim().at(-1)),
    ['0', '1', '2'],
  )
  assert.deepEqual(await mailbox.fetch(2), mails.slice(0, 2))
  await mailbox.remove(mails.map(({ ref }) => ref))
  assert.deepEqual(await mailbox.fetch(100), [])
  await mailbox.close()
  assert.deepEqual(snapshot(user), foreign)
})

test('a letter marked as deleted but not expunged is shown and can be removed', {
  skip,
}, async () => {
  const user = 'marked'
  drop(user, rawMail({ to: office.address(user), text: 'half deleted' }), 'T')
  const { mailbox } = mailboxOf(user)
  await mailbox.open()
  const mails = await mailbox.fetch(10)
  assert.equal(mails.length, 1)
  await mailbox.remove(mails.map(({ ref }) => ref))
  await mailbox.close()
  assert.equal(snapshot(user).size, 0)
})

test('a backlog is fetched in batches, oldest first, each mail once', { skip }, async () => {
  const user = 'backlog'
  for (let i = 0; i < 130; i++) drop(user, rawMail({ to: office.address(user), text: `n${i}.` }))
  const { mailbox } = mailboxOf(user)
  await mailbox.open()
  const seen: string[] = []
  const inHand = new Set<string>()
  for (;;) {
    // The next batch is fetched while the previous one is still handled.
    const mails = await mailbox.fetch(40, inHand)
    if (mails.length === 0) break
    seen.push(...mails.map((mail) => /n(\d+)\./.exec(textOf(mail))?.[1] ?? '?'))
    if (inHand.size > 0) await mailbox.remove([...inHand])
    inHand.clear()
    for (const { ref } of mails) inHand.add(ref)
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 130 }, (_, i) => String(i)),
  )
  await mailbox.close()
})

test('a mail larger than the limit is shown without its bytes and can be removed', { skip }, async () => {
  const user = 'big'
  drop(user, rawMail({ to: office.address(user), text: 'x\r\n'.repeat(maxBytes) }))
  drop(user, rawMail({ to: office.address(user), subject: 'Holiday film', text: 'x\r\n'.repeat(200_000) }))
  const { mailbox } = mailboxOf(user)
  await mailbox.open()
  const [mail, ...more] = await mailbox.fetch(10)
  assert.deepEqual(more, [])
  assert.equal(mail?.raw, null)
  assert.ok(mail && mail.sizeBytes > maxBytes)
  await mailbox.remove([mail.ref])
  assert.equal(snapshot(user).size, 1)
  await mailbox.close()
})

test('the folder in the URL is opened, and a missing one is a Problem', {
  skip,
}, async () => {
  const { mailbox } = mailboxOf('folders', `${office.imapUrl('folders')}?folder=No%20such`)
  await assert.rejects(mailbox.open(), (error) => error instanceof Problem && /No such/.test(error.line))
})
