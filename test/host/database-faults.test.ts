// A host whose database cannot be written while letters come. It is a separate process with a Maildir and an SMTP server, so
// disk, locks and exit codes are real.

import assert from 'node:assert/strict'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import BetterSqlite3 from 'better-sqlite3'
import { openHostDatabase } from '../../src/store/host-database.ts'
import { migrations } from '../../src/store/sqlite-schema.ts'
import { damageDatabase } from '../harness/damage-database.ts'
import { deferIn } from '../harness/defer.ts'
import { TestMaildir } from '../harness/maildir.ts'
import { lacks } from '../harness/needs.ts'
import { startSmtpSink } from '../harness/smtp-sink.ts'
import { waitUntil } from '../harness/wait-until.ts'
import { FakeAgent } from './fakes.ts'
import { HostProcess } from './real-host/host-process.ts'
import { planHost } from './real-host/real-host.ts'

const timeoutMs = 60_000

/** `diskBytes`: the size of a disk for the database that only the host sees; 0: no disk of its own. */
async function stage(context: TestContext, diskBytes = 0) {
  const defer = deferIn(context)
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-database-faults-'))
  defer(() => rmSync(folder, { recursive: true }))
  const maildir = new TestMaildir(join(folder, 'mail'))
  const sink = await startSmtpSink()
  defer(() => sink.stop())
  const disk = join(folder, 'disk')
  mkdirSync(disk)
  const mount = `mount -t tmpfs -o size=${diskBytes} peerpost "$0" && exec "$@"`
  const wrapper =
    diskBytes === 0 ? [] : ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', mount, disk]
  const database = join(disk, 'host.sqlite')
  const { keys, room, options } = planHost({
    receiveUrl: maildir.url,
    sendUrl: sink.url,
    database,
    settings: { retryFirstMs: 200, retryMaxMs: 400, introductionWindowMs: 60_000, sweepMs: 1_000 },
  })
  const start = async () => {
    const host = new HostProcess(wrapper)
    defer(() => host.kill('SIGKILL'))
    await host.waitFor('loaded')
    host.go(options)
    return host
  }
  const agents: FakeAgent[] = []
  const sendRequests = (count: number) => {
    for (let left = count; left > 0; left--) {
      const agent = new FakeAgent(`agent${agents.length}`, keys, room)
      agents.push(agent)
      maildir.deliver(agent.mailRequest(Date.now()))
    }
  }
  /** How many replies each agent got. Copies of the same mail count once. */
  const replies = () =>
    agents.map(
      ({ address }) =>
        new Set(sink.repliesTo(address).map((text) => /^Message-ID: (.+)$/m.exec(text)?.[1])).size,
    )
  const answered = (host: HostProcess, count = agents.length) =>
    waitUntil(
      () => replies().filter((number) => number > 0).length >= count,
      () => `${replies().join('')} ${host.stderr} ${JSON.stringify(host.last.get('trouble') ?? {})}`,
      timeoutMs,
    )
  return { start, sendRequests, answered, replies, agents, maildir, database, disk }
}

type Trouble = { readonly code: string; readonly message: string; readonly remedy: string }

function troubleOf(host: HostProcess): Trouble {
  return host.last.get('trouble')?.problem as Trouble
}

test('while the disk is full letters wait and the host reports it; with space again each is answered once', {
  skip: lacks('network namespaces'),
}, async (context) => {
  const { start, sendRequests, answered, replies, agents, maildir, disk } = await stage(context, 6_000_000)
  const host = await start()
  await host.waitFor('ready')
  sendRequests(3)
  await answered(host)
  // The host's own view of the disk.
  const filler = join(`/proc/${host.pid}/root`, disk, 'filler')
  const file = openSync(filler, 'w')
  try {
    for (;;) writeSync(file, new Uint8Array(4_096))
  } catch (thrown) {
    assert.equal((thrown as NodeJS.ErrnoException).code, 'ENOSPC')
  }
  closeSync(file)
  sendRequests(400)
  await host.waitFor('trouble')
  assert.match(troubleOf(host).message, /disk that holds the database .*host\.sqlite is full/)
  assert.match(troubleOf(host).remedy, /Free space/)
  assert.ok(maildir.mails.length > 0)
  unlinkSync(filler)
  await answered(host)
  assert.deepEqual([...new Set(replies())], [1])
  assert.equal(agents.length, 403)
  assert.equal(await host.kill('SIGTERM'), 0)
  assert.equal(maildir.mails.length, 0)
})

test('while another program locks the database letters wait and the host reports it, then each is answered once', async (context) => {
  const { start, sendRequests, answered, replies, maildir, database } = await stage(context)
  const host = await start()
  await host.waitFor('ready')
  const other = new BetterSqlite3(database)
  other.exec('BEGIN IMMEDIATE')
  sendRequests(5)
  await host.waitFor('trouble')
  assert.match(troubleOf(host).message, /Another program keeps the database .* locked/)
  assert.match(troubleOf(host).remedy, /continues by itself/)
  assert.deepEqual(replies(), [0, 0, 0, 0, 0])
  assert.equal(maildir.mails.length, 5)
  other.exec('ROLLBACK')
  other.close()
  await answered(host)
  assert.deepEqual([...new Set(replies())], [1])
  assert.equal(await host.kill('SIGTERM'), 0)
})

test('a database that is damaged while the host runs stops it, no letter is lost, and a new file repairs it', async (context) => {
  const { start, sendRequests, answered, replies, agents, maildir, database } = await stage(context)
  const host = await start()
  await host.waitFor('ready')
  sendRequests(5)
  await answered(host)
  await waitUntil(
    () => maildir.mails.length === 0,
    () => 'letters stay',
    timeoutMs,
  )
  damageDatabase(database)
  sendRequests(3)
  assert.equal(await host.ended(), 1)
  assert.equal(troubleOf(host).code, 'database')
  assert.match(troubleOf(host).message, /host\.sqlite is damaged/)
  assert.match(troubleOf(host).remedy, /move .*host\.sqlite away.*peerpost backup/)
  assert.deepEqual(replies().slice(5), [0, 0, 0])
  // The next host refuses the file and does not change it.
  const before = readFileSync(database)
  const again = await start()
  assert.equal(await again.ended(), 1)
  assert.match(again.stderr, /host\.sqlite is damaged/)
  assert.ok(readFileSync(database).equals(before))
  assert.equal(maildir.mails.length, 3)
  for (const end of ['', '-wal', '-shm']) rmSync(database + end, { force: true })
  const mended = await start()
  await answered(mended)
  assert.deepEqual([...new Set(replies())], [1])
  assert.equal(agents.length, 8)
  assert.equal(existsSync(`${database}.damaged`), false)
  assert.equal(await mended.kill('SIGTERM'), 0)
})

test('a database of a newer version ends the host at its start, and letters stay where they are', async (context) => {
  const { start, sendRequests, maildir, database } = await stage(context)
  openHostDatabase(database).close()
  const raw = new BetterSqlite3(database)
  raw.pragma(`user_version = ${migrations.length + 1}`)
  raw.close()
  sendRequests(2)
  const host = await start()
  assert.equal(await host.ended(), 1)
  assert.match(host.stderr, /written by a newer peerpost.*its version is \d+, ours \d+/s)
  assert.equal(maildir.mails.length, 2)
})
