import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { createSender, openMailbox } from '../../src/mail/open-mailbox.ts'
import type { Pop3Timing } from '../../src/mail/pop3/pop3-mailbox.ts'
import { systemClock as clock } from '../../src/runtime/system-clock.ts'
import { startConnectionProxy } from '../harness/connection-proxy.ts'
import { type MailServers, startMailServers } from '../harness/mail-servers.ts'
import { fetchUntil, rawMail, testSubject, textOf, watchMailbox } from '../harness/mailbox-helpers.ts'
import { dropMail, foreignMails, maildirSnapshot } from '../harness/maildir-files.ts'
import { lacks } from '../harness/needs.ts'
import { problemOf } from '../harness/problem-of.ts'

const skip = lacks('postfix', 'dovecot')
let office: MailServers
const folder = mkdtempSync(join(tmpdir(), 'peerpost-pop3-'))

before(async () => {
  if (!skip) office = await startMailServers()
})
after(async () => {
  rmSync(folder, { recursive: true, force: true })
  if (!skip) await office.stop()
})

const maxBytes = 20_000
const quick = { pollMs: 50, lingerMs: 50, retry: { firstMs: 20, lastMs: 200 } }

type MailboxOptions = { timing?: Partial<Pop3Timing>; url?: string; uidlCacheFile?: string }

function mailboxOf(
  user: string,
  { timing = {}, url = office.pop3Url(user), uidlCacheFile }: MailboxOptions = {},
) {
  const filter = { subject: testSubject, address: office.address(user), maxBytes }
  const notices: string[] = []
  const mailbox = openMailbox(url, filter, {
    clock,
    pop3: { ...quick, ...timing },
    notice: (line) => notices.push(line),
    ...(uidlCacheFile ? { uidlCacheFile } : {}),
  })
  return { mailbox, watched: watchMailbox(mailbox), notices }
}

const drop = (user: string, raw: Uint8Array, flags?: string) => dropMail(office.maildirOf(user), raw, flags)
const snapshot = (user: string) => maildirSnapshot(office.maildirOf(user))

test('a mail sent by SMTP is found at the next poll, fetched with the same bytes, and gone after removal', {
  skip,
}, async () => {
  const { mailbox, watched } = mailboxOf('ann')
  await mailbox.open()
  assert.deepEqual(watched.states, [{ state: 'connected' }])
  assert.deepEqual(await mailbox.fetch(10), [])
  const sender = createSender(office.smtpUrl('bob'), { clock })
  const text = '.\r\n..\r\n.dots\r\nFrom here'
  const raw = rawMail({ to: office.address('ann'), text })
  const mail = { from: office.address('bob'), to: [office.address('ann')], raw }
  assert.deepEqual(await sender.send(mail), { outcome: 'sent' })
  const [first] = await fetchUntil(mailbox, watched, 1)
  assert.ok(first && textOf(first).endsWith(`\r\n\r\n${text}\r\n`), textOf(first))
  assert.equal(first.sizeBytes, first.raw?.length)

  const [again] = await fetchUntil(mailbox, watched, 1)
  assert.deepEqual(again, first, 'it comes again until it is removed')
  assert.deepEqual(await mailbox.fetch(10, new Set([first.ref])), [])
  await mailbox.remove([first.ref, 'nonsense', ''])
  await mailbox.remove([])
  assert.deepEqual(await mailbox.fetch(10), [])
  await mailbox.close()
  assert.equal(snapshot('ann').size, 0)
  await sender.close()
})

test('foreign mails are not marked, changed or moved, and their headers are read once, also after a restart', {
  skip,
}, async () => {
  const user = 'crowd'
  for (const { raw, flags } of foreignMails(office.address(user), 600)) drop(user, raw, flags)
  const foreign = snapshot(user)
  assert.equal(foreign.size, 600)
  for (const i of [0, 1, 2]) drop(user, rawMail({ to: office.address(user), text: `letter ${i}` }))

  const uidlCacheFile = join(folder, 'crowd.uidl')
  const proxy = await startConnectionProxy({ port: office.ports.pop3 })
  const url = office.pop3Url(user).replace(/:\d+$/, `:${proxy.port}`)
  const { mailbox, notices } = mailboxOf(user, { uidlCacheFile, url })
  await mailbox.open()
  const mails = await mailbox.fetch(100)
  assert.deepEqual(
    mails.map((mail) => textOf(mail).trim().at(-1)),
    ['0', '1', '2'],
  )
  await mailbox.remove(mails.map(({ ref }) => ref))
  assert.deepEqual(await mailbox.fetch(100), [])
  await mailbox.close()
  const first = proxy.received()
  const known = readFileSync(uidlCacheFile, 'latin1').trim().split('\n').length - 1
  assert.equal(known, 600)
  assert.equal(statSync(uidlCacheFile).mode & 0o777, 0o600)

  const { mailbox: second } = mailboxOf(user, { uidlCacheFile, url })
  await second.open()
  assert.deepEqual(await second.fetch(100), [])
  await second.close()
  assert.ok(proxy.received() - first < first / 3, 'only the list was read')
  await proxy.stop()
  assert.deepEqual(notices, [])
  const left = snapshot(user)
  assert.deepEqual(withoutUids(left), withoutUids(foreign))
})

/** Dovecot adds UIDs at the first poll, so the earlier snapshot has none. */
function withoutUids(mails: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...mails].map(([name, bytes]) => [name.replace(/ uid=.*/, ''), bytes]))
}

test('a backlog is fetched in batches, oldest first, each mail once', { skip }, async () => {
  const user = 'backlog'
  for (let i = 0; i < 130; i++) drop(user, rawMail({ to: office.address(user), text: `n${i}.` }))
  const { mailbox } = mailboxOf(user, { timing: { lingerMs: 1_000 } })
  await mailbox.open()
  const seen: string[] = []
  const inHand = new Set<string>()
  for (;;) {
    const mails = await mailbox.fetch(40, inHand)
    if (mails.length === 0) break
    seen.push(...mails.map((mail) => /n(\d+)\./.exec(textOf(mail))?.[1] ?? '?'))
    if (inHand.size > 0) await mailbox.remove([...inHand])
    inHand.clear()
    for (const { ref } of mails) inHand.add(ref)
  }
  await mailbox.remove([...inHand])
  assert.deepEqual(
    seen,
    Array.from({ length: 130 }, (_, i) => String(i)),
  )
  await mailbox.close()
  assert.equal(snapshot(user).size, 0)
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
  await mailbox.close()
  assert.equal(snapshot(user).size, 1)
})

test('a letter removed before the connection was lost is not shown again, and deleted at the next poll', {
  skip,
}, async () => {
  const user = 'erin'
  const proxy = await startConnectionProxy({ port: office.ports.pop3 })
  const url = office.pop3Url(user).replace(/:\d+$/, `:${proxy.port}`)
  const { mailbox, watched } = mailboxOf(user, { url, timing: { lingerMs: 5_000 } })
  drop(user, rawMail({ to: office.address(user), text: 'once' }))
  await mailbox.open()
  const [mail] = await mailbox.fetch(10)
  assert.ok(mail)
  // The letter is marked, but the session ends without QUIT.
  await mailbox.remove([mail.ref])
  proxy.cut()
  await watched.nextState('disconnected')
  await assert.rejects(mailbox.fetch(10), (error) => error instanceof Problem)
  assert.equal(snapshot(user).size, 1)
  await watched.nextState('connected')
  assert.deepEqual(await mailbox.fetch(10), [])
  assert.equal(snapshot(user).size, 0)
  await mailbox.close()
  await proxy.stop()
})

test('a server that stops answering is dropped, and the mailbox continues when it is back', {
  skip,
}, async () => {
  const user = 'finn'
  const proxy = await startConnectionProxy({ port: office.ports.pop3 })
  const url = office.pop3Url(user).replace(/:\d+$/, `:${proxy.port}`)
  const { mailbox, watched } = mailboxOf(user, { url, timing: { answerMs: 150, lingerMs: 5_000 } })
  drop(user, rawMail({ to: office.address(user), text: 'waits' }))
  await mailbox.open()
  proxy.goDead('refuse')
  await assert.rejects(
    mailbox.fetch(10),
    (error) =>
      error instanceof Problem && error.code === 'mail-connection' && /not answered/.test(error.line),
  )
  await watched.nextState('disconnected')
  proxy.heal()
  await watched.nextState('connected')
  assert.equal((await fetchUntil(mailbox, watched, 1)).length, 1)
  await mailbox.close()
  await proxy.stop()
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
  const { pop3, smtp } = office.ports
  const login = await openingProblem(`pop3://ann%40mail.test:hunter2@127.0.0.1:${pop3}`)
  assert.equal(login.code, 'mail-login')
  assert.match(login.line, /POP3 server .* does not let ann@mail\.test in.*app password/)
  const refused = await openingProblem('pop3://ann:hunter2@127.0.0.1:1')
  assert.equal(refused.code, 'mail-connection')
  const unknown = await openingProblem('pop3s://ann:hunter2@no-such-host.invalid')
  assert.match(unknown.line, /no-such-host\.invalid/)
  const noTls = await openingProblem(`pop3s://ann:hunter2@127.0.0.1:${pop3}`)
  assert.equal(noTls.code, 'mail-tls')
  assert.match(noTls.line, /pop3s: is TLS/)
  // 0.0.0.0 does not count as loopback, but the server on loopback answers there. It offers no STLS.
  const inClear = await openingProblem(`pop3://ann:hunter2@0.0.0.0:${pop3}`)
  assert.equal(inClear.code, 'mail-tls')
  assert.match(inClear.line, /not sent to it in clear.*tls=never/)
  const smtpThere = await openingProblem(`pop3://ann:hunter2@127.0.0.1:${smtp}`)
  assert.match(smtpThere.line, /does not speak POP3/)
  assert.equal((await openingProblem(`pop3://ann@127.0.0.1:${pop3}`)).code, 'config')
  assert.equal((await openingProblem(`pop3://127.0.0.1:${pop3}`)).code, 'config')
})
