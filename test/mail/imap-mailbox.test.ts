import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { composeMail } from '../../src/mail/compose.ts'
import type { ImapMailboxTiming } from '../../src/mail/imap-mailbox.ts'
import { createSender, openMailbox } from '../../src/mail/open.ts'
import { systemClock as clock } from '../../src/net/system-clock.ts'
import { dropMail, maildirSnapshot } from '../harness/maildir-files.ts'
import { lacks } from '../harness/needs.ts'
import { type PostOffice, startPostOffice } from '../harness/post-office.ts'
import { fetchUntil, rawMail, testSubject, textOf, watchMailbox } from '../harness/post-office-mail.ts'
import { startLineProxy } from '../harness/post-office-proxy.ts'
import { problemOf } from '../harness/problem-of.ts'

const skip = lacks('postfix', 'dovecot')
let office: PostOffice

before(async () => {
  if (!skip) office = await startPostOffice()
})
after(async () => {
  if (!skip) await office.stop()
})

const maxBytes = 20_000

function mailboxOf(user: string, timing: Partial<ImapMailboxTiming> = {}, url = office.imapUrl(user)) {
  const notices: string[] = []
  const filter = { subject: testSubject, address: office.address(user), maxBytes }
  const mailbox = openMailbox(url, filter, {
    clock,
    imap: { retry: { firstMs: 20, lastMs: 200 }, ...timing },
    notice: (line) => notices.push(line),
  })
  return { mailbox, watched: watchMailbox(mailbox), notices }
}

const drop = (user: string, raw: Uint8Array, flags?: string) => dropMail(office.maildirOf(user), raw, flags)
const snapshot = (user: string) => maildirSnapshot(office.maildirOf(user))

test('a mail sent by SMTP is announced, fetched as it was sent, and gone once removed', {
  skip,
}, async () => {
  const { mailbox, watched } = mailboxOf('ann')
  await mailbox.open()
  await watched.nextWake()
  assert.deepEqual(await mailbox.fetch(10), [])
  const sender = createSender(office.smtpUrl('bob'), { clock })
  const raw = composeMail({
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

test('foreign mails are neither marked, changed nor moved, and cost nothing twice', { skip }, async () => {
  const user = 'crowd'
  for (let i = 0; i < 500; i++) {
    const kind = i % 5
    if (kind === 0) drop(user, rawMail({ to: office.address(user), subject: `Lunch ${i}` }))
    if (kind === 1) drop(user, rawMail({ to: office.address(user), subject: `Re: ${testSubject}` }))
    if (kind === 2) drop(user, rawMail({ to: 'somebody@else.test' }))
    if (kind === 3) drop(user, rawMail({ to: office.address(user), subject: 'Seen', text: testSubject }), 'S')
    if (kind === 4) drop(user, rawMail({ to: 'somebody@else.test', subject: testSubject }), 'T')
  }
  // Dovecot gives a mail its UID when it first sees it.
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

test('a letter marked as deleted by a program that died before expunging it is shown and goes at last', {
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

test('a backlog comes oldest first, batch by batch, and everything once', { skip }, async () => {
  const user = 'backlog'
  for (let i = 0; i < 130; i++) drop(user, rawMail({ to: office.address(user), text: `n${i}.` }))
  const { mailbox } = mailboxOf(user)
  await mailbox.open()
  const seen: string[] = []
  const inHand = new Set<string>()
  for (;;) {
    // The next batch is fetched while the one before is still being worked on.
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

test('a mail beyond the limit is shown without its bytes and can be removed', { skip }, async () => {
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

test('a folder other than INBOX is read when the URL says so, and a missing one is a Problem', {
  skip,
}, async () => {
  const { mailbox } = mailboxOf('folders', {}, `${office.imapUrl('folders')}?folder=No%20such`)
  await assert.rejects(mailbox.open(), (error) => error instanceof Problem && /No such/.test(error.line))
})

test('without UIDPLUS letters are only marked, what others marked stays, and it is said once', {
  skip,
}, async () => {
  const own = await startPostOffice({ imapCapability: 'IMAP4rev1 IDLE LITERAL+' })
  try {
    const put = (place: string, text: string) =>
      writeFileSync(join(own.maildirOf('ida'), place), rawMail({ to: own.address('ida'), text }))
    put('cur/1.test:2,T', 'marked by somebody else')
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

test('when the server stops and comes back the mailbox goes on where it was', { skip }, async () => {
  const own = await startPostOffice()
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

test('a wrong password, a refused connection, an unknown host and missing TLS are each one clear line', {
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
  // Not loopback by name, yet the server on loopback answers there; it offers no STARTTLS.
  const inClear = await openingProblem(`imap://ann:hunter2@0.0.0.0:${imap}`)
  assert.equal(inClear.code, 'mail-tls')
  assert.match(inClear.line, /not sent to it in clear.*tls=never/)
  const missing = await openingProblem(`imap://ann@127.0.0.1:${imap}`)
  assert.equal(missing.code, 'config')
})

test('a line that goes dead is noticed and replaced', { skip }, async () => {
  const proxy = await startLineProxy({ port: office.ports.imap })
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

test('a line that is dead after a change of network is given up within seconds, and a live one is kept', {
  skip,
}, async () => {
  const proxy = await startLineProxy({ port: office.ports.imap })
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

test('an operation on a dead line ends with a Problem instead of hanging', { skip }, async () => {
  const proxy = await startLineProxy({ port: office.ports.imap })
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

test('without the password of its first day the mailbox waits long before it asks again', {
  skip,
}, async () => {
  const proxy = await startLineProxy({ port: office.ports.imap })
  const url = new URL(office.imapUrl('gus').replace(/:\d+$/, `:${proxy.port}`))
  const { mailbox, watched } = mailboxOf(
    'gus',
    { loginRetry: { firstMs: 600_000, lastMs: 600_000 } },
    url.href,
  )
  await mailbox.open()
  const own = await startPostOffice({ password: 'changed' })
  proxy.retarget(own.ports.imap)
  proxy.cut()
  const [first, second] = [await watched.nextState('disconnected'), await watched.nextState('disconnected')]
  assert.ok(first.state === 'disconnected' && first.retryInMs <= 200)
  assert.ok(second.state === 'disconnected' && second.retryInMs >= 300_000, JSON.stringify(second))
  await mailbox.close()
  await proxy.stop()
  await own.stop()
})

test('closing while disconnected or idle ends every timer and says nothing more', { skip }, async () => {
  const { mailbox, watched } = mailboxOf('hal')
  await mailbox.open()
  await mailbox.close()
  await mailbox.close()
  assert.deepEqual(watched.states, [{ state: 'connected' }])
  await assert.rejects(mailbox.fetch(1), Problem)
})
