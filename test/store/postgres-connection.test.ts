// What is special with PostgreSQL: several processes at once, and a server that can be unreachable.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { BlockedKeys } from '../../src/store/blocked-keys.ts'
import { ForwardedLetters } from '../../src/store/forwarded-letters.ts'
import { databaseProblem, type HostDatabase, openHostDatabase } from '../../src/store/host-database.ts'
import { Invites } from '../../src/store/invites.ts'
import { MailLeases } from '../../src/store/mail-leases.ts'
import { Outbox, type WaitingMail } from '../../src/store/outbox.ts'
import { PeerTable } from '../../src/store/peer-table.ts'
import { PendingIntroductions } from '../../src/store/pending-introductions.ts'
import { SeenLetters } from '../../src/store/seen-letters.ts'
import { SendBudget } from '../../src/store/send-budget.ts'
import { SignedStatements } from '../../src/store/signed-statements.ts'
import { lacks } from '../harness/needs.ts'
import { PostgresCluster } from '../harness/postgres.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { waitUntil } from '../harness/wait-until.ts'
import { newEntry, roomTag, userId } from './entries.ts'

const skip = lacks('postgresql')
let cluster: PostgresCluster
if (!skip) {
  before(async () => {
    cluster = await PostgresCluster.start()
  })
  after(() => cluster.stop())
}

function problemOf(database: HostDatabase, work: () => unknown): Problem {
  try {
    work()
  } catch (thrown) {
    return databaseProblem(database.path, thrown)
  }
  return assert.fail('nothing was thrown')
}

const mail = (name: string) => ({
  messageId: `<${name}@mail.test>`,
  kind: 'reply' as const,
  recipient: `${name}@mail.test`,
  raw: new TextEncoder().encode(name),
})

test('four processes that start together write to the same tables', {
  skip,
}, async () => {
  const url = await cluster.database()
  const databases = Array.from({ length: 4 }, () => openHostDatabase(url))
  for (const [index, database] of databases.entries())
    new PeerTable(database, { capacity: 3, expiryMs: 1_000 }).upsert(roomTag(0), newEntry(index, 1), index)
  for (const database of databases) assert.equal(database.counts().entries, 3)
  for (const database of databases) database.close()
})

test('a mail of the outbox is leased by one process, and by another when the lease has expired', {
  skip,
}, async () => {
  const url = await cluster.database()
  const [one, other] = [openHostDatabase(url), openHostDatabase(url)]
  const outbox = new Outbox(one, { capacity: 9 })
  for (const name of ['a', 'b', 'c']) outbox.add(mail(name), 1)
  const take = (database: HostDatabase, owner: string, now: number, limit: number) =>
    new MailLeases(database, owner)
      .leaseMails('urgent', { now, until: now + 100, limit, most: () => 9 })
      .map(({ messageId }) => messageId)
  assert.deepEqual(take(one, 'one', 10, 2), ['<a@mail.test>', '<b@mail.test>'])
  assert.deepEqual(take(other, 'other', 11, 2), ['<c@mail.test>'])
  assert.deepEqual(take(one, 'one', 12, 2), [])
  assert.deepEqual(take(other, 'other', 110, 9), ['<a@mail.test>', '<b@mail.test>'])
  // Mails that any process is sending count towards the budget.
  const leases = new MailLeases(one, 'one')
  assert.deepEqual(
    leases.leaseMails('urgent', { now: 111, until: 200, limit: 9, most: (count) => 2 - count }),
    [],
  )
  assert.equal(
    leases.leaseMails('urgent', { now: 120, until: 200, limit: 9, most: (count) => 3 - count }).length,
    1,
  )
  one.close()
  other.close()
})

test('without a budget each mail is leased once, and no process waits for the transaction of another', {
  skip,
}, async () => {
  const url = await cluster.database()
  const databases = [1, 2, 3].map(() => openHostDatabase(url))
  const [busy, one, other] = databases as [HostDatabase, HostDatabase, HostDatabase]
  const outbox = new Outbox(busy, { capacity: 9 })
  for (const name of ['a', 'b', 'c', 'd']) outbox.add(mail(name), 1)
  const take = (database: HostDatabase, now: number, limit: number) =>
    new MailLeases(database, 'anybody')
      .leaseMails('urgent', { now, until: now + 100, limit, most: () => Number.POSITIVE_INFINITY })
      .map(({ messageId }) => messageId)
  busy.transaction(() => {
    // This transaction even changes rows of the outbox.
    assert.deepEqual(take(busy, 10, 1), ['<a@mail.test>'])
    assert.deepEqual(take(one, 10, 2), ['<b@mail.test>', '<c@mail.test>'])
    assert.deepEqual(take(other, 10, 9), ['<d@mail.test>'])
  })
  assert.deepEqual(take(one, 109, 9), [])
  assert.deepEqual(take(other, 110, 9), ['<a@mail.test>', '<b@mail.test>', '<c@mail.test>', '<d@mail.test>'])
  for (const database of databases) database.close()
})

test('finished mails are removed and counted once while another process is in a transaction', {
  skip,
}, async () => {
  const url = await cluster.database()
  const [busy, sending] = [openHostDatabase(url), openHostDatabase(url)]
  const outbox = new Outbox(sending, { capacity: 9 })
  for (const name of ['a', 'b', 'c']) outbox.add(mail(name), 1)
  const leases = new MailLeases(sending, 'sending')
  const hourMs = 3_600_000
  const now = 100 * hourMs
  const unlimited = { now, until: now + 100, limit: 2, most: () => Number.POSITIVE_INFINITY }
  const [a, b] = leases.leaseMails('urgent', unlimited) as [WaitingMail, WaitingMail]
  assert.deepEqual(new TextDecoder().decode(a.raw), 'a')
  busy.transaction(() => {
    new SeenLetters(busy, { freshnessMs: 1, futureToleranceMs: 1, capacity: 9 }).remember(
      userId(1),
      new Uint8Array(16),
      1,
    )
    new Outbox(busy, { capacity: 9 }).add(mail('d'), 1)
    assert.equal(leases.removeFinished([a, b], 1, now), 2)
    // One is gone, and the other was replaced by a later reply.
    assert.equal(leases.removeFinished([a, { ...b, messageId: '<other@mail.test>' }], 2, now + hourMs), 0)
    assert.equal(sending.counts().mails, 1)
  })
  assert.equal(busy.counts().mails, 2)
  const budget = new SendBudget(sending, { perDay: 9 })
  assert.deepEqual([budget.sent(now + hourMs), budget.sent(now + 26 * hourMs)], [3, 0])
  busy.close()
  sending.close()
})

test('a process that waits for another one’s transaction does other work meanwhile', {
  skip,
}, async () => {
  const url = await cluster.database()
  const [busy, waiting] = [openHostDatabase(url), openHostDatabase(url)]
  const order: string[] = []
  let transaction: Promise<string> | undefined
  busy.transaction(() => {
    new Outbox(busy, { capacity: 9 }).add(mail('busy'), 1)
    order.push('busy')
    transaction = waiting.asyncTransaction(() => {
      order.push('waiting')
      new Outbox(waiting, { capacity: 9 }).add(mail('normal'), 1)
      return 'done'
    })
    order.push(`${waiting.counts().mails} mails`)
  })
  assert.equal(await transaction, 'done')
  assert.deepEqual(order, ['busy', '0 mails', 'waiting'])
  assert.equal(busy.counts().mails, 2)
  const failing = waiting.asyncTransaction(() => {
    new Outbox(waiting, { capacity: 9 }).add(mail('undone'), 1)
    throw new Error('oh no')
  })
  await assert.rejects(failing, /oh no/)
  assert.deepEqual([busy.counts().mails, waiting.connection.inTransaction], [2, false])
  // The rollback released the lock.
  busy.transaction(() => new Outbox(busy, { capacity: 9 }).add(mail('later'), 1))
  busy.close()
  waiting.close()
})

test('a letter is leased by one process, which can lease it again', { skip }, async () => {
  const url = await cluster.database()
  const [one, other] = [openHostDatabase(url), openHostDatabase(url)]
  const [mine, theirs] = [new MailLeases(one, 'one'), new MailLeases(other, 'other')]
  assert.deepEqual([...mine.leaseLetters(['1:7', '1:8'], 10, 20)].sort(), ['1:7', '1:8'])
  assert.deepEqual([...theirs.leaseLetters(['1:8', '1:9'], 11, 21)], ['1:9'])
  assert.deepEqual([...mine.leaseLetters(['1:7'], 12, 22)], ['1:7'])
  assert.deepEqual([...theirs.leaseLetters(['1:8'], 20, 30)], ['1:8'])
  assert.equal(mine.forgetExpired(30, 40, 9), 3)
  one.close()
  other.close()
})

test('all SQL that the other tests do not run is valid', { skip }, async () => {
  const database = openHostDatabase(await cluster.database())
  const [room, user] = [roomTag(0), userId(1)]
  const invites = new Invites(database)
  const key = new Uint8Array(32).fill(7)
  assert.equal(invites.add(room, { key, uses: 1, until: 50 }, 'friends', 1), true)
  const found = invites.check(room, key, user, 2)
  assert.equal(found?.state, 'open')
  invites.use(found?.id ?? 0, user, 2)
  new PeerTable(database, { capacity: 9, expiryMs: 100 }).upsert(
    room,
    newEntry(1, 1, { inviteId: found?.id ?? 0 }),
    2,
  )
  const statements = new SignedStatements(database, realCrypto, { capacity: 9 })
  const signed = new Uint8Array([1, 2, 3])
  const offered = [{ key: '0'.repeat(16), version: '0'.repeat(22), flagged: false }]
  const item = statements.put(room, user, {
    version: '1',
    flagged: false,
    signed,
    receivedFrom: userId(2),
    offered,
  })
  assert.deepEqual(statements.get(item)?.signed, signed)
  statements.addOffered(item, offered)
  assert.deepEqual(statements.get(item)?.offered, [...offered, ...offered])
  assert.deepEqual(statements.receivedFrom(room, user), userId(2))
  assert.notEqual(statements.flag(room, user), null)
  assert.equal(statements.count(0, 1_000_000), 1)
  assert.equal(statements.items(0, 1_000_000, 9)[0]?.flagged, true)
  assert.deepEqual(statements.newest(9), [item])
  assert.ok(statements.groupHashes().some((byte) => byte !== 0))
  assert.equal(statements.find(item)?.version, '1')
  assert.equal(statements.isEmpty, false)
  assert.deepEqual(
    invites.list(3).map(({ used, present, state }) => ({ used, present, state })),
    [{ used: 1, present: 1, state: 'used-up' }],
  )
  assert.equal(invites.removeEnded(1, 60, 9), 1)
  assert.ok(statements.groupHashes().every((byte) => byte === 0))
  assert.equal(invites.revoke(key, 70), 0)
  assert.equal(invites.forgetEnded(Number.MAX_SAFE_INTEGER, 9), 1)
  const blocked = new BlockedKeys(database)
  assert.equal(blocked.add(user, 'ann', 5), true)
  assert.deepEqual(blocked.list(), [{ user, name: 'ann', blockedAt: 5 }])
  assert.deepEqual(blocked.usersNamed('nobody'), [])
  assert.equal(blocked.nameOf(user), '')
  assert.equal(blocked.remove(user), true)
  const introductions = new PendingIntroductions(database)
  introductions.note(room, [user], userId(3), 5)
  assert.deepEqual(introductions.next(5, 9), { room, recipient: user, requesters: [userId(3)] })
  assert.equal(introductions.clampFuture(4, 9), 1)
  introductions.settle(room, user, [userId(3)])
  assert.equal(introductions.oldestNotedAt(), null)
  introductions.forget(9)
  const forwards = new ForwardedLetters(database, { senders: 1, forwards: 9 })
  const [id, sender] = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)]
  const forward = {
    id,
    sender,
    worker: user,
    mailFrom: 'a@b.test',
    mailDate: null,
    mailId: null,
    boxes: [signed],
  }
  forwards.assign(sender, user, 5)
  forwards.put(forward, '<f@mail.test>', 5)
  forwards.put(forward, '<g@mail.test>', 6)
  assert.deepEqual(forwards.waiting(user, 6, 9), [{ ...forward, tries: 2 }])
  forwards.clampFuture(1)
  forwards.drop(id)
  assert.deepEqual([forwards.size, forwards.freeSlots, forwards.workerOf(sender)], [0, 9, user])
  assert.equal(forwards.forgetSenders(2, 9), 1)
  database.close()
})

test('a server that stops gives one clear message, uncommitted rows are gone, and the host continues by itself', {
  skip,
}, async () => {
  const database = openHostDatabase(await cluster.database())
  const seen = new SeenLetters(database, { freshnessMs: 1, futureToleranceMs: 1, capacity: 9 })
  const id = (byte: number) => new Uint8Array(16).fill(byte)
  assert.equal(seen.remember(userId(1), id(1), 5), true)
  await cluster.pause()
  let problem = problemOf(database, () =>
    database.transaction(() => {
      seen.remember(userId(1), id(2), 6)
      database.transaction(() => seen.remember(userId(1), id(3), 7))
    }),
  )
  assert.match(problem.line, /PostgreSQL at postgres:.* cannot be reached.*letters wait in the mailbox/)
  assert.doesNotMatch(problem.line, /postgres@/)
  const began = performance.now()
  for (let count = 0; count < 20; count++) problem = problemOf(database, () => database.counts())
  assert.ok(performance.now() - began < 1_000, 'queries to an unreachable server must fail fast')
  await cluster.resume()
  await waitUntil(
    () => {
      try {
        return seen.has(userId(1), id(1))
      } catch {
        return false
      }
    },
    () => 'the connection did not come back',
    10_000,
  )
  assert.equal(seen.has(userId(1), id(2)), false)
  assert.equal(
    database.transaction(() => seen.remember(userId(1), id(2), 6)),
    true,
  )
  database.close()
})

test('a connection lost in a transaction rolls all of it back, and later queries in it fail', {
  skip,
}, async () => {
  const url = await cluster.database()
  const [database, other] = [openHostDatabase(url), openHostDatabase(url)]
  const seen = new SeenLetters(database, { freshnessMs: 1, futureToleranceMs: 1, capacity: 9 })
  const id = (byte: number) => new Uint8Array(16).fill(byte)
  const end = other.connection.prepare(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'peerpost'",
  )
  const problem = problemOf(database, () =>
    database.transaction(() => {
      seen.remember(userId(1), id(1), 5)
      end.all()
      try {
        seen.remember(userId(1), id(2), 5)
      } catch {
        // Some code could catch the error and continue.
      }
      return seen.remember(userId(1), id(3), 5)
    }),
  )
  assert.equal(problem.code, 'database')
  await waitUntil(
    () => {
      try {
        return other.counts().seenLetters === 0 && !seen.has(userId(1), id(3))
      } catch {
        return false
      }
    },
    () => 'the connection did not come back',
    10_000,
  )
  database.close()
  other.close()
})

test('a refused login and a missing database give a remedy', { skip }, async () => {
  const refused = (url: string, sentence: RegExp) =>
    assert.throws(
      () => openHostDatabase(url),
      (thrown: unknown) =>
        thrown instanceof Problem && thrown.code === 'database' && sentence.test(thrown.line),
    )
  refused(cluster.urlOf('nowhere'), /There is no database .*createdb/)
  refused(cluster.urlOf('postgres', 'nobody'), /does not let this host log in.*password/)
  const url = await cluster.database()
  openHostDatabase(url).close()
  await cluster.sql(url, 'UPDATE peerpost.version SET version = 99')
  refused(url, /newer peerpost/)
})
