import assert from 'node:assert/strict'
import { test } from 'node:test'
import BetterSqlite3 from 'better-sqlite3'
import { Problem } from '../../src/base/problem.ts'
import type { SendOutcome } from '../../src/mail/sender.ts'
import { HostDatabase } from '../../src/store/host-database.ts'
import { FakeSender } from './fakes.ts'
import { Stage } from './virtual-hosts.ts'

const later: SendOutcome = { outcome: 'later', reason: '451 not now' }

test('a mail that cannot be sent is tried again with the same bytes, also after a restart', async () => {
  const stage = await new Stage({ retryFirstMs: 1_000 }).start()
  const ann = stage.agent('ann')
  stage.sender.answer = () => later
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  assert.equal(stage.sender.tried.length, 1)
  await stage.pass(1_100)
  assert.equal(stage.sender.tried.length, 2)
  await stage.restart()
  stage.sender.answer = () => ({ outcome: 'sent' })
  await stage.pass(2_100)
  assert.equal(stage.sender.tried.length, 3)
  const [first] = stage.sender.tried
  for (const mail of stage.sender.tried) assert.deepEqual(mail, first)
  assert.equal(stage.lettersTo(ann).length, 1)
  await stage.pass(3_600_000)
  assert.equal(stage.sender.tried.length, 3)
  await stage.stop()
})

test('a mail that is refused is dropped and counted', async () => {
  const stage = await new Stage().start()
  stage.sender.answer = () => ({ outcome: 'refused', reason: '550 no such user', about: 'recipient' })
  stage.deliver(stage.agent('ann').mailRequest(stage.now))
  await stage.settle()
  await stage.pass(3_600_000)
  assert.equal(stage.sender.tried.length, 1)
  assert.deepEqual(stage.host.counters().mails, { 'reply refused': 1 })
  assert.equal(stage.host.counters().waitingMails, 0)
  await stage.stop()
})

test('a server that takes no mail does not get an attempt for every waiting mail', async () => {
  const stage = await new Stage({ retryFirstMs: 10_000 }, new FakeSender(3)).start()
  stage.sender.answer = () => later
  const agents = Array.from({ length: 40 }, (_, index) => stage.agent(`agent${index}`))
  for (const agent of agents) stage.deliver(agent.mailRequest(stage.now))
  await stage.settle()
  assert.ok(stage.sender.tried.length <= 6, `${stage.sender.tried.length} attempts`)
  stage.sender.answer = () => ({ outcome: 'sent' })
  await stage.pass(120_000)
  await stage.settle()
  const replied = agents.filter((agent) => stage.lettersTo(agent).some(({ kind }) => kind === 'reply'))
  assert.equal(replied.length, 40)
  await stage.stop()
})

test('a mail that could not be sent for too long is given up', async () => {
  const stage = await new Stage({ keepUnsentMs: 600_000, cleanupMs: 60_000 }).start()
  stage.sender.answer = () => later
  stage.deliver(stage.agent('ann').mailRequest(stage.now))
  await stage.pass(1_300_000)
  assert.equal(stage.host.counters().waitingMails, 0)
  assert.equal(stage.host.counters().mails['reply given-up'], 1)
  await stage.stop()
})

test('as many mails are sent at a time as the sender allows, and introductions wait for replies', async () => {
  const stage = await new Stage({ introductionWindowMs: 50 }, new FakeSender(4)).start()
  stage.sender.answer = () =>
    new Promise((resolve) => stage.clock.after(200, () => resolve({ outcome: 'sent' })))
  const agents = Array.from({ length: 20 }, (_, index) => stage.agent(`agent${index}`))
  for (const agent of agents) stage.deliver(agent.mailRequest(stage.now))
  await stage.pass(10_000)
  assert.equal(stage.sender.maxUnderWay, 4)
  const kinds = stage.events.flatMap((event) => (event.event === 'sent' ? [event.kind] : []))
  assert.equal(kinds.filter((kind) => kind === 'reply').length, 20)
  assert.ok(kinds.includes('introduction'))
  assert.ok(kinds.lastIndexOf('reply') < kinds.indexOf('introduction'))
  await stage.stop()
})

test('while the outbox is full letters stay in the mailbox, and none is lost', async () => {
  const stage = await new Stage({ outboxCapacity: 3, retryFirstMs: 1_000 }).start()
  stage.sender.answer = () => later
  const agents = Array.from({ length: 8 }, (_, index) => stage.agent(`agent${index}`))
  for (const agent of agents) stage.deliver(agent.mailRequest(stage.now))
  await stage.pass(3_000)
  assert.equal(stage.host.counters().waitingMails, 3)
  assert.equal(stage.mailbox.mails.length, 5)
  stage.sender.answer = () => ({ outcome: 'sent' })
  await stage.pass(60_000)
  for (const agent of agents) assert.equal(stage.lettersTo(agent)[0]?.kind, 'reply')
  await stage.stop()
})

test('a mailbox that fails is tried again, and nothing is answered twice', async () => {
  const stage = await new Stage({ retryFirstMs: 1_000 }).start()
  const ann = stage.agent('ann')
  const remove = stage.mailbox.remove.bind(stage.mailbox)
  let failures = 3
  stage.mailbox.remove = (refs) => (failures-- > 0 ? Promise.reject(new Error('gone')) : remove(refs))
  stage.deliver(ann.mailRequest(stage.now))
  await stage.pass(30_000)
  assert.equal(stage.mailbox.mails.length, 0)
  assert.equal(stage.lettersTo(ann).length, 1)
  assert.deepEqual(stage.drops(), [])
  await stage.stop()
})

test('while the database fails no letter is handled; when it works again all are answered', async () => {
  const stage = await new Stage({ retryFirstMs: 1_000 }).start()
  const ann = stage.agent('ann')
  const { prototype } = HostDatabase
  const original = prototype.transaction
  prototype.transaction = () => {
    throw new BetterSqlite3.SqliteError('disk I/O error', 'SQLITE_IOERR')
  }
  try {
    stage.deliver(ann.mailRequest(stage.now))
    await stage.pass(5_000)
  } finally {
    prototype.transaction = original
  }
  assert.equal(stage.mailbox.mails.length, 1)
  assert.equal(stage.sender.tried.length, 0)
  const troubles = stage.events.flatMap((event) => (event.event === 'trouble' ? [event.problem] : []))
  assert.ok(troubles.length > 0 && troubles.every(({ code }) => code === 'database'))
  await stage.pass(60_000)
  assert.equal(stage.lettersTo(ann).length, 1)
  assert.equal(stage.mailbox.mails.length, 0)
  await stage.stop()
})

test('a host that cannot start says why and leaves nothing open', async () => {
  const stage = new Stage()
  stage.sender.verify = () => Promise.reject(new Problem('mail-login', 'Wrong password.', 'Check it.'))
  let closed = 0
  stage.mailbox.close = async () => void closed++
  await assert.rejects(stage.host.start(), { code: 'mail-login' })
  assert.equal(closed, 1)
  assert.equal(stage.clock.pendingTimers, 0)
  const again = new BetterSqlite3(stage.database)
  again.exec('BEGIN EXCLUSIVE; COMMIT')
  again.close()
})

test('a host that is stopped finishes the current letters and leaves no timer behind', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  stage.sender.answer = () =>
    new Promise((resolve) => stage.clock.after(500, () => resolve({ outcome: 'sent' })))
  stage.deliver(ann.mailRequest(stage.now))
  await stage.until(() => stage.sender.underWay === 1)
  await stage.stop()
  assert.equal(stage.lettersTo(ann).length, 1)
  assert.equal(stage.host.counters().waitingMails, 0)
  assert.equal(stage.mailbox.mails.length, 0)
  assert.equal(stage.clock.pendingTimers, 0)
  await stage.host.stop()
})

test('a host that is stopped while it starts stops without an error', async () => {
  const stage = new Stage()
  const started = stage.host.start()
  await stage.host.stop()
  await started
  assert.ok(!stage.events.some(({ event }) => event === 'ready'))
})
