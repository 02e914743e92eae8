// The current program reads what version 1 wrote. See version-1/README.md.

import assert from 'node:assert/strict'
import { chmodSync, cpSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import BetterSqlite3 from 'better-sqlite3'
import { loadAgentConfig, loadHostConfig } from '../../src/config/load-config.ts'
import { checkRevocation } from '../../src/letter/invite-revocation.ts'
import type { RoomTag } from '../../src/letter/letter-types.ts'
import { readAgentOptions } from '../../src/library/options.ts'
import { databasePlace } from '../../src/setup/database-location.ts'
import { readHostKeys, roomNamed } from '../../src/setup/host-keys.ts'
import { knownHosts } from '../../src/setup/known-hosts.ts'
import { backUpDatabase } from '../../src/store/backup.ts'
import { type HostDatabase, openHostDatabase } from '../../src/store/host-database.ts'
import { readHostStats } from '../../src/store/host-stats.ts'
import { inspectHostDatabase } from '../../src/store/inspect-database.ts'
import { postgresMigrations } from '../../src/store/postgres-schema.ts'
import { migrations } from '../../src/store/sqlite-schema.ts'
import { lacks } from '../harness/needs.ts'
import { PostgresCluster } from '../harness/postgres.ts'
import { realCrypto as crypto } from '../harness/seeded-crypto.ts'
import * as rows from './version-1/rows.ts'

const { users, writtenAt } = rows
const folder = mkdtempSync(join(tmpdir(), 'peerpost-version-1-'))
after(() => rmSync(folder, { recursive: true }))
for (const part of ['host', 'agent'])
  cpSync(join(import.meta.dirname, 'version-1', part), join(folder, part), { recursive: true })
// Git does not keep the mode 0600.
for (const file of globSync(join(folder, '*', '*'))) chmodSync(file, 0o600)

const host = loadHostConfig(join(folder, 'host', 'host.toml'), {})
const keys = readHostKeys(crypto, host)
const { tag } = roomNamed(keys).keys
const agentOptions = { config: join(folder, 'agent', 'agent.toml') }
const inviteKey = () => {
  const { room } = readAgentOptions(crypto, agentOptions).invite.invite
  assert.ok('pass' in room)
  return room.pass.grant.key
}

test("the host's config, keys and other hosts are read", () => {
  assert.equal(host.config.address, 'meet@example.org')
  assert.equal(host.config.table.capacity, 10_000)
  assert.equal(roomNamed(keys).name, 'friends')
  const [other] = knownHosts(crypto, host.config, keys.identity.publicKey)
  assert.equal(other?.address, 'other@example.net')
})

test("the agent's config, key and invite are read, and the invite is of that host", () => {
  assert.equal(loadAgentConfig(agentOptions.config, {}).config.name, 'anna')
  const { invite } = readAgentOptions(crypto, agentOptions).invite
  assert.deepEqual(invite.host.identity, keys.identity.publicKey)
  assert.deepEqual(invite.room.name, 'friends')
})

test('the file is sound, has a row in every table, and is migrated when a host opens it', async () => {
  const path = databasePlace(host) as string
  const before = inspectHostDatabase(path)
  assert.ok(before.state === 'sound' && before.version === 1)
  const database = openHostDatabase(path)
  assert.equal(database.connection.prepare('PRAGMA user_version').pluck().get(), migrations.length)
  assert.equal(database.connection.prepare('PRAGMA foreign_key_check').all().length, 0)
  const names = database.connection.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table'`).pluck()
  for (const name of names.all() as string[])
    assert.notEqual(database.connection.prepare(`SELECT 1 FROM ${name} LIMIT 1`).get(), undefined, name)
  checkRows(database, tag)
  database.close()

  const stats = readHostStats(path, [rows.otherHost, rows.worker])?.get('05'.repeat(32))
  assert.deepEqual(stats, { heardAt: null, forwards: 0, strangers: 1 })
  const copy = join(folder, 'copy.sqlite')
  await backUpDatabase(path, copy)
  const again = openHostDatabase(copy)
  writeAndRead(again, tag)
  again.close()
})

test('a new file has the same tables, so the schema of version 1 is unchanged', () => {
  const path = join(folder, 'new.sqlite')
  openHostDatabase(path).close()
  openHostDatabase(databasePlace(host)).close()
  assert.deepEqual(tablesOf(path), tablesOf(databasePlace(host) as string))
})

function tablesOf(path: string): readonly unknown[] {
  const connection = new BetterSqlite3(path, { readonly: true })
  const found = connection.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY type, name').all()
  connection.close()
  // SQLite stores comments and spaces too, but these may change.
  return (found as { sql: string | null }[]).map(({ sql, ...rest }) => [
    rest,
    sql?.replace(/--.*$/gm, '').replace(/\s+/g, ' '),
  ])
}

const missing = lacks('postgresql')
test('the tables in PostgreSQL are migrated when a host opens them', {
  skip: missing,
}, async () => {
  const cluster = await PostgresCluster.start()
  try {
    const url = await cluster.database()
    await cluster.sql(url, readFileSync(join(import.meta.dirname, 'version-1', 'postgres.sql'), 'utf8'))
    const database = openHostDatabase(url)
    try {
      const version = database.connection.prepare('SELECT version FROM peerpost.version').pluck().get()
      assert.equal(version, postgresMigrations.length)
      checkRows(database, tag)
      writeAndRead(database, tag)
    } finally {
      database.close()
    }
  } finally {
    await cluster.stop()
  }
})

function checkRows(database: HostDatabase, room: RoomTag): void {
  const tables = rows.openTables(database)
  const { peers, statements, outbox, forwards } = tables
  assert.deepEqual(database.counts(), { entries: 2, seenLetters: 1, mails: 2, introductions: 1 })

  assert.deepEqual(peers.find(room, users.anna, writtenAt), {
    ...rows.anna,
    flagged: false,
    acceptedAt: writtenAt,
  })
  const { tcpCandidates: _none, ...ben } = rows.ben
  assert.deepEqual(peers.recent(room, users.anna, 8, writtenAt), [
    { ...ben, flagged: false, acceptedAt: writtenAt + 1 },
  ])

  const annaKey = statements.keyOf(room, users.anna)
  assert.deepEqual(statements.get(annaKey)?.signed, rows.signedBy('anna'))
  assert.equal(statements.receivedFrom(room, users.anna), null)
  assert.deepEqual(statements.receivedFrom(room, users.ben), rows.otherHost)
  assert.deepEqual(statements.get(statements.keyOf(room, users.left)), {
    signed: rows.signedBy('left'),
    offered: [],
    flagged: false,
    acceptedAt: writtenAt,
  })
  assert.equal(statements.count(0, 4_095), 2)
  assert.ok(statements.groupHashes().some((byte) => byte !== 0))

  const invites = tables.invites
    .list(writtenAt)
    .map(({ name, state, used, present }) => [name, state, used, present])
  assert.deepEqual(invites, [
    ['for anna', 'open', 1, 1],
    ['', 'revoked', 0, 0],
  ])
  assert.equal(tables.invites.check(room, inviteKey(), users.anna, writtenAt)?.state, 'open')
  const [revocation] = tables.revocations.due(writtenAt, 10)
  assert.ok(revocation && checkRevocation(crypto, revocation))
  assert.deepEqual([revocation.key, revocation.until], [rows.revokedKey, rows.inviteEnd])
  assert.deepEqual(tables.blocked.list(), [{ user: users.blocked, name: 'mallory', blockedAt: writtenAt }])

  const seen = tables.seen.lookUp(users.anna, rows.letterId)
  assert.deepEqual(seen, { isSeen: true, forgottenUntil: writtenAt - 24 * 3_600_000 })
  assert.deepEqual(tables.introductions.next(writtenAt, 8), {
    room,
    recipient: users.ben,
    requesters: [users.anna],
  })
  const [reply] = outbox.due('urgent', writtenAt, 10)
  assert.ok(reply?.kind === 'reply' && reply.recipient === 'anna@example.org')
  assert.deepEqual(outbox.raw(reply), rows.replyRaw)
  assert.equal(outbox.due('normal', writtenAt, 10)[0]?.messageId, '<table@example.org>')
  assert.equal(tables.budget.sent(writtenAt), 17)
  assert.ok(tables.unreachable.has('Gone@Example.org', writtenAt))

  assert.deepEqual(forwards.workerOf(rows.sender), rows.worker)
  const [forward] = forwards.waiting(rows.worker, writtenAt, 10)
  assert.deepEqual(forward?.boxes, [rows.bytes(50, 31), rows.bytes(60, 32)])
  assert.deepEqual([forward.mailDate, forward.mailId], [writtenAt, '<letter@example.org>'])
}

/** The triggers still work. */
function writeAndRead(database: HostDatabase, room: RoomTag): void {
  const { peers, statements, outbox } = rows.openTables(database)
  const request = { ...rows.ben, user: users.left, sentAt: writtenAt, inviteId: null }
  assert.equal(peers.upsert(room, request, writtenAt + 5), 'older')
  assert.equal(peers.upsert(room, { ...request, sentAt: writtenAt + 2 }, writtenAt + 5), 'added')
  assert.equal(peers.size, 3)
  assert.ok(peers.leave(room, users.anna, writtenAt + 3))
  assert.equal(peers.size, 2)
  assert.equal(statements.count(0, 4_095), 1)
  assert.equal(outbox.drop(outbox.due('urgent', writtenAt, 10)), 1)
  assert.equal(outbox.size, 1)
}
