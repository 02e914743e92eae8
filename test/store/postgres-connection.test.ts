// What only PostgreSQL does to the tables: several processes at once, and a server that is not always there.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { BlockedKeys } from '../../src/store/blocked-keys.ts'
import { ForwardedLetters } from '../../src/store/forwarded-letters.ts'
import { databaseProblem, type HostDatabase, openHostDatabase } from '../../src/store/host-database.ts'
import { Invites } from '../../src/store/invites.ts'
import { Leases } from '../../src/store/mail-leases.ts'
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
  ...{ messageId: `<${name}@mail.test>`, kind: 'reply' as const, recipient: `${name}@mail.test` },
  raw: new TextEncoder().encode(name),
})

test('what four processes wrote is in the same tables, which each of them may have made', {
  skip,
}, async () => {
  const url = await cluster.database()
  const databases = Array.from({ length: 4 }, () => openHostDatabase(url))
  for (const [index, database] of databases.entries())
    new PeerTable(database, { capacity: 3, expiryMs: 1_000 }).upsert(roomTag(0), newEntry(index, 1), index)
  for (const database of databases) assert.equal(database.counts().entries, 3)
  for (const database of databases) database.close()
})

test('a mail of the outbox is claimed by one process, and by the next when the claim is over', {
  skip,
}, async () => {
  const url = await cluster.database()
  const [one, other] = [openHostDatabase(url), openHostDatabase(url)]
  const outbox = new Outbox(one, { capacity: 9 })
  for (const name of ['a', 'b', 'c']) outbox.add(mail(name), 1)
  const take = (database: HostDatabase, owner: string, now: number, limit: number) =>
    new Leases(database, owner)
      .mails('urgent', { now, until: now + 100, limit, most: () => 9 })
      .map(({ messageId }) => messageId)
  assert.deepEqual(take(one, 'one', 10, 2), ['<a@mail.test>', '<b@mail.test>'])
  assert.deepEqual(take(other, 'other', 11, 2), ['<c@mail.test>'])
  assert.deepEqual(take(one, 'one', 12, 2), [])
  assert.deepEqual(take(other, 'other', 110, 9), ['<a@mail.test>', '<b@mail.test>'])
  // What is under way anywhere counts towards the budget.
  const claims = new Leases(one, 'one')
  assert.deepEqual(claims.mails('urgent', { now: 111, until: 200, limit: 9, most: (count) => 2 - count }), [])
  assert.equal(
    claims.mails('urgent', { now: 120, until: 200, limit: 9, most: (count) => 3 - count }).length,
    1,
  )
  one.close()
  other.close()
})

test('without a budget each mail is claimed once, and nobody waits for another process’s transaction', {
  skip,
}, async () => {
  const url = await cluster.database()
  const databases = [1, 2, 3].map(() => openHostDatabase(url))
  const [busy, one, other] = databases as [HostDatabase, HostDatabase, HostDatabase]
  const outbox = new Outbox(busy, { capacity: 9 })
  for (const name of ['a', 'b', 'c', 'd']) outbox.add(mail(name), 1)
  const take = (database: HostDatabase, now: number, limit: number) =>
    new Leases(database, 'anybody')
      .mails('urgent', { now, until: now + 100, limit, most: () => Number.POSITIVE_INFINITY })
      .map(({ messageId }) => messageId)
  busy.transaction(() => {
    // Of the very rows, too: it is about to send them.
    assert.deepEqual(take(busy, 10, 1), ['<a@mail.test>'])
    assert.deepEqual(take(one, 10, 2), ['<b@mail.test>', '<c@mail.test>'])
    assert.deepEqual(take(other, 10, 9), ['<d@mail.test>'])
  })
  assert.deepEqual(take(one, 109, 9), [])
  assert.deepEqual(take(other, 110, 9), ['<a@mail.test>', '<b@mail.test>', '<c@mail.test>', '<d@mail.test>'])
  for (const database of databases) database.close()
})

test('what was sent is taken out and counted once, while another process is in a transaction', {
  skip,
}, async () => {
  const url = await cluster.database()
  const [busy, sending] = [openHostDatabase(url), openHostDatabase(url)]
  const outbox = new Outbox(sending, { capacity: 9 })
  for (const name of ['a', 'b', 'c']) outbox.add(mail(name), 1)
  const claims = new Leases(sending, 'sending')
  const hourMs = 3_600_000
  const now = 100 * hourMs
  const unlimited = { now, until: now + 100, limit: 2, most: () => Number.POSITIVE_INFINITY }
  const [a, b] = claims.mails('urgent', unlimited) as [WaitingMail, WaitingMail]
  assert.deepEqual(new TextDecoder().decode(a.raw), 'a')
  busy.transaction(() => {
    new SeenLetters(busy, { freshnessMs: 1, futureToleranceMs: 1, capacity: 9 }).remember(
      userId(1),
      new Uint8Array(16),
      1,
    )
    new Outbox(busy, { capacity: 9 }).add(mail('d'), 1)
    assert.equal(claims.settle([a, b], 1, now), 2)
    // Replaced by a later reply, or gone.
    assert.equal(claims.settle([a, { ...b, messageId: '<other@mail.test>' }], 2, now + hourMs), 0)
    assert.equal(sending.counts().mails, 1)
  })
  assert.equal(busy.counts().mails, 2)
  const budget = new SendBudget(sending, { perDay: 9 })
  assert.deepEqual([budget.sent(now + hourMs), budget.sent(now + 26 * hourMs)], [3, 0])
  busy.close()
  sending.close()
})

test('who waits for another process’s transaction goes on with other work, and has its turn afterwards', {
  skip,
}, async () => {
  const url = await cluster.database()
  const [busy, patient] = [openHostDatabase(url), openHostDatabase(url)]
  const order: string[] = []
  let turn: Promise<string> | undefined
  busy.transaction(() => {
    new Outbox(busy, { capacity: 9 }).add(mail('busy'), 1)
    order.push('busy')
    turn = patient.turn(() => {
      order.push('turn')
      new Outbox(patient, { capacity: 9 }).add(mail('patient'), 1)
      return 'done'
    })
    order.push(`${patient.counts().mails} mails`)
  })
  assert.equal(await turn, 'done')
  assert.deepEqual(order, ['busy', '0 mails', 'turn'])
  assert.equal(busy.counts().mails, 2)
  const failing = patient.turn(() => {
    new Outbox(patient, { capacity: 9 }).add(mail('undone'), 1)
    throw new Error('oh no')
  })
  await assert.rejects(failing, /oh no/)
  assert.deepEqual([busy.counts().mails, patient.connection.inTransaction], [2, false])
  // The lock went with it.
  busy.transaction(() => new Outbox(busy, { capacity: 9 }).add(mail('later'), 1))
  busy.close()
  patient.close()
})

test('a letter is claimed by one process, and its own claim does not keep it out', { skip }, async () => {
  const url = await cluster.database()
  const [one, other] = [openHostDatabase(url), openHostDatabase(url)]
  const [mine, theirs] = [new Leases(one, 'one'), new Leases(other, 'other')]
  assert.deepEqual([...mine.letters(['1:7', '1:8'], 10, 20)].sort(), ['1:7', '1:8'])
  assert.deepEqual([...theirs.letters(['1:8', '1:9'], 11, 21)], ['1:9'])
  assert.deepEqual([...mine.letters(['1:7'], 12, 22)], ['1:7'])
  assert.deepEqual([...theirs.letters(['1:8'], 20, 30)], ['1:8'])
  assert.equal(mine.forget(30, 40, 9), 3)
  one.close()
  other.close()
})

test('every statement that the tests of the tables do not reach runs', { skip }, async () => {
  const database = openHostDatabase(await cluster.database())
  const [room, user] = [roomTag(0), userId(1)]
  const invites = new Invites(database)
  const key = new Uint8Array(32).fill(7)
  assert.equal(invites.add(room, { key, uses: 1, until: 50 }, 'friends', 1), true)
  const found = invites.consult(room, key, user, 2)
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
    toldBy: userId(2),
    offered,
  })
  assert.deepEqual(statements.told(item)?.signed, signed)
  statements.addOffered(item, offered)
  assert.deepEqual(statements.told(item)?.offered, [...offered, ...offered])
  assert.deepEqual(statements.toldBy(room, user), userId(2))
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
  assert.equal(invites.forgetOver(Number.MAX_SAFE_INTEGER, 9), 1)
  const blocked = new BlockedKeys(database)
  assert.equal(blocked.add(user, 'ann', 5), true)
  assert.deepEqual(blocked.list(), [{ user, name: 'ann', blockedAt: 5 }])
  assert.deepEqual(blocked.usersNamed('nobody'), [])
  assert.equal(blocked.nameOf(user), '')
  assert.equal(blocked.remove(user), true)
  const introductions = new PendingIntroductions(database)
  introductions.note(room, [user], userId(3), 5)
  assert.deepEqual(introductions.next(5, 9), { room, recipient: user, askers: [userId(3)] })
  assert.equal(introductions.clampFuture(4, 9), 1)
  introductions.settle(room, user, [userId(3)])
  assert.equal(introductions.oldestNotedAt(), null)
  introductions.forget(9)
  const book = new ForwardedLetters(database, { senders: 1, forwards: 9 })
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
  book.assign(sender, user, 5)
  book.put(forward, '<f@mail.test>', 5)
  book.put(forward, '<g@mail.test>', 6)
  assert.deepEqual(book.waiting(user, 6, 9), [{ ...forward, tries: 2 }])
  book.clampFuture(1)
  book.drop(id)
  assert.deepEqual([book.size, book.room, book.workerOf(sender)], [0, 9, user])
  assert.equal(book.forgetSenders(2, 9), 1)
  database.close()
})

test('a server that stops is told in one sentence, what was not committed is gone, and it goes on by itself', {
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
  assert.ok(performance.now() - began < 1_000, 'asking a server that is gone must not take long')
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

test('a connection lost in a transaction undoes all of it, and what follows in it fails as well', {
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
        // As code that takes it for its own failure would.
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

test('who may not log in, and whose database is not there, learn what to do', { skip }, async () => {
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
