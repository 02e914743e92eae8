// Backups of a host's database while the host writes to it.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { backUpDatabase } from '../../src/store/backup.ts'
import { openHostDatabase } from '../../src/store/host-database.ts'
import { inspectHostDatabase } from '../../src/store/inspect-database.ts'

const folder = mkdtempSync(join(tmpdir(), 'peerpost-backup-'))
after(() => rmSync(folder, { recursive: true }))

/** Writes the same number into two tables in one transaction, so an inconsistent copy is noticed. */
function write(database: ReturnType<typeof openHostDatabase>, number: number): void {
  const id = Buffer.alloc(16)
  id.writeUInt32BE(number)
  database.transaction(() => {
    database.connection
      .prepare('INSERT INTO seen_letter (sender, letter_id, sent_at) VALUES (?, ?, ?)')
      .run(Buffer.alloc(32, 1), id, number)
    database.connection.prepare('INSERT INTO room (tag) VALUES (?)').run(Buffer.concat([id, id]))
  })
}

test('a backup during writes is complete, readable by its owner only, and a host starts from it', async () => {
  const path = join(folder, 'host.sqlite')
  const database = openHostDatabase(path)
  let written = 0
  for (; written < 2_000; written++) write(database, written)
  const target = join(folder, 'copy.sqlite')
  let isDone = false
  const copying = backUpDatabase(path, target).finally(() => {
    isDone = true
  })
  while (!isDone) {
    write(database, written++)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await copying
  for (let more = 0; more < 10; more++) write(database, written++)
  database.close()
  assert.equal(statSync(target).mode & 0o777, 0o600)
  assert.equal(inspectHostDatabase(target).state, 'sound')
  const restored = openHostDatabase(target)
  const letters = restored.counts().seenLetters
  const rooms = restored.connection.prepare('SELECT COUNT(*) FROM room').pluck().get()
  assert.ok(letters >= 2_000 && letters < written, `${letters} of ${written}`)
  assert.equal(rooms, letters)
  write(restored, written)
  restored.close()
})

test('a backup never replaces a file, and leaves no file behind when it fails', async () => {
  const path = join(folder, 'small.sqlite')
  openHostDatabase(path).close()
  const rejects = (target: string, line: RegExp, source = path) =>
    assert.rejects(
      backUpDatabase(source, target),
      (thrown) => thrown instanceof Problem && line.test(thrown.line),
    )
  await rejects(path, /exists already/)
  await rejects(join(folder, 'nowhere', 'copy'), /cannot be (written|opened)|Check/)
  await rejects(join(folder, 'other'), /There is no database/, join(folder, 'none.sqlite'))
  assert.equal(existsSync(join(folder, 'other')), false)
})
