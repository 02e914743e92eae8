import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import BetterSqlite3 from 'better-sqlite3'
import { Problem } from '../../src/base/problem.ts'
import {
  databaseProblem,
  noteIfDamaged,
  openHostDatabase,
  openSharedDatabase,
} from '../../src/store/host-database.ts'
import { migrations } from '../../src/store/sqlite-schema.ts'

const folder = mkdtempSync(join(tmpdir(), 'peerpost-database-'))
after(() => rmSync(folder, { recursive: true }))

function refused(path: string, sentence: RegExp) {
  assert.throws(
    () => openHostDatabase(path),
    (thrown: unknown) =>
      thrown instanceof Problem && thrown.code === 'database' && sentence.test(thrown.line),
  )
}

test('a new file is readable by its owner only and keeps every commit', () => {
  const path = join(folder, 'new.db')
  const database = openHostDatabase(path)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.equal(database.connection.prepare('PRAGMA journal_mode').pluck().get(), 'wal')
  assert.equal(database.connection.prepare('PRAGMA synchronous').pluck().get(), 2)
  assert.equal(statSync(`${path}-wal`).mode & 0o777, 0o600)
  database.close()
  openHostDatabase(path).close()
})

test('a second host on the same file is refused with a remedy', () => {
  const path = join(folder, 'shared.db')
  const database = openHostDatabase(path)
  const script = `import { openHostDatabase, openSharedDatabase } from ${JSON.stringify(import.meta.resolve('../../src/store/host-database.ts'))}
    try { openHostDatabase(${JSON.stringify(path)}) } catch (problem) { console.log(problem.line) }`
  const second = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' })
  assert.match(second.stdout, /Another host is using the database .*shared\.db\. Stop that one first/)
  database.close()
})

test('a command can read and write while a host runs, and a backup can be made', () => {
  const path = join(folder, 'beside.db')
  const database = openHostDatabase(path)
  const shared = openSharedDatabase(path)
  const add = 'INSERT INTO room (tag) VALUES (randomblob(32))'
  shared.transaction(() => shared.connection.exec(add))
  database.transaction(() => database.connection.exec(add))
  assert.equal(shared.connection.prepare('SELECT COUNT(*) FROM room').pluck().get(), 2)
  shared.connection.exec(`VACUUM INTO '${join(folder, 'backup.db')}'`)
  shared.close()
  database.close()
  openHostDatabase(join(folder, 'backup.db')).close()
})

test('the lock of a host that was killed does not stop the next one', () => {
  const path = join(folder, 'killed.db')
  const script = `import { openHostDatabase } from ${JSON.stringify(import.meta.resolve('../../src/store/host-database.ts'))}
    openHostDatabase(${JSON.stringify(path)}); process.kill(process.pid, 'SIGKILL')`
  assert.equal(spawnSync(process.execPath, ['--input-type=module', '--eval', script]).signal, 'SIGKILL')
  openHostDatabase(path).close()
})

test('opening a file of an older version migrates it, and its rows stay', (t) => {
  const path = join(folder, 'older.db')
  const database = openHostDatabase(path)
  database.connection.exec('INSERT INTO room (tag) VALUES (randomblob(32))')
  database.close()
  const later = migrations as string[]
  later.push('ALTER TABLE room ADD COLUMN note TEXT')
  t.after(() => later.pop())
  openSharedDatabase(path).close()
  const again = openHostDatabase(path)
  assert.equal(again.connection.prepare('PRAGMA user_version').pluck().get(), migrations.length)
  assert.deepEqual(again.connection.prepare('SELECT note FROM room').all(), [{ note: null }])
  again.close()
})

test('a file that is not a database is refused with a remedy', () => {
  const path = join(folder, 'text.db')
  writeFileSync(path, 'not a database at all '.repeat(100))
  refused(path, /damaged or is not a database.*move .*text\.db away.*peerpost backup/)
})

test('a database of another program is refused', () => {
  const path = join(folder, 'other.db')
  const other = new BetterSqlite3(path)
  other.exec('CREATE TABLE thing (a)')
  other.close()
  refused(path, /another program/)
})

test('a file of a newer version is refused', () => {
  const path = join(folder, 'newer.db')
  const database = openHostDatabase(path)
  database.connection.exec(`PRAGMA user_version = ${migrations.length + 1}`)
  database.close()
  refused(path, /newer peerpost/)
})

test('a missing folder is named in the message', () => {
  refused(join(folder, 'nowhere', 'host.db'), /cannot be opened.*nowhere/)
})

test('wrong counts are corrected when the file is opened', () => {
  const path = join(folder, 'counts.db')
  const database = openHostDatabase(path)
  database.connection.exec('UPDATE tally SET entries = 77, mails = -3')
  database.close()
  const again = openHostDatabase(path)
  assert.deepEqual(again.counts(), { entries: 0, seenLetters: 0, mails: 0, introductions: 0 })
  again.close()
})

/** Overwrites the root page of the table of invites, in a file with one mail of this size. */
function damageInvites(path: string, mailBytes: number): void {
  openHostDatabase(path).close()
  const connection = new BetterSqlite3(path)
  connection
    .prepare(
      `INSERT INTO mail (message_id, kind, lane, recipient, raw, attempts, added_at, next_attempt_at)
       VALUES ('<a@b>', 'reply', 0, 'a@b.test', zeroblob(?), 0, 0, 0)`,
    )
    .run(mailBytes)
  const page = connection.prepare(`SELECT rootpage FROM sqlite_schema WHERE name = 'invite'`).pluck().get()
  const size = connection.pragma('page_size', { simple: true }) as number
  connection.close()
  const file = openSync(path, 'r+')
  writeSync(file, new Uint8Array(size).fill(0xa5), 0, size, (Number(page) - 1) * size)
  closeSync(file)
}

test('a small file is checked whenever a host opens it', () => {
  const path = join(folder, 'small.db')
  damageInvites(path, 1_000)
  refused(path, /small\.db is damaged.*move .*small\.db away.*peerpost backup/)
  assert.ok(existsSync(path))
  assert.equal(existsSync(`${path}.damaged`), false)
})

test('a large file is opened without a check after a clean stop, but checked after damage was found', () => {
  const path = join(folder, 'large.db')
  damageInvites(path, 40_000_000)
  const database = openHostDatabase(path)
  try {
    database.connection.prepare('SELECT * FROM invite').get()
    assert.fail('it was read')
  } catch (thrown) {
    assert.ok(noteIfDamaged(database, databaseProblem(path, thrown)))
  }
  database.close()
  refused(path, /large\.db is damaged/)
  refused(path, /large\.db is damaged/)
  rmSync(path)
  openHostDatabase(path).close()
  assert.equal(existsSync(`${path}.damaged`), false)
})

test('a large file is checked if the last host did not close it', () => {
  const path = join(folder, 'interrupted.db')
  damageInvites(path, 40_000_000)
  const script = `import { openHostDatabase } from ${JSON.stringify(import.meta.resolve('../../src/store/host-database.ts'))}
    const { connection } = openHostDatabase(${JSON.stringify(path)})
    connection.exec('UPDATE tally SET mails = 7'); process.kill(process.pid, 'SIGKILL')`
  assert.equal(spawnSync(process.execPath, ['--input-type=module', '--eval', script]).signal, 'SIGKILL')
  refused(path, /interrupted\.db is damaged/)
})
