// Fills a host's database quickly with entries and seen letters: one transaction, no sync. Options as JSON in
// the first argument.

import BetterSqlite3 from 'better-sqlite3'
import { openHostDatabase } from '../../src/store/host-database.ts'

export type FillOptions = {
  readonly file: string
  /** Number of entries and of seen letters. */
  readonly entries: number
  readonly roomTagsHex: readonly string[]
}

/** Age of the oldest and of the youngest entry. All are within the half day for which an entry lives. */
const oldestMs = 6 * 3_600_000
const youngestMs = 60_000

const candidates = JSON.stringify([
  { kind: 'host', endpoint: { address: '192.168.1.5', port: 4000 } },
  { kind: 'server-reflexive', endpoint: { address: '198.51.100.8', port: 4001 } },
])
const nat = JSON.stringify({ mapping: 'EIM', filtering: 'APDF', allocation: { type: 'preserving' } })

function fill({ file, entries, roomTagsHex }: FillOptions): void {
  openHostDatabase(file).close()
  const connection = new BetterSqlite3(file)
  connection.pragma('synchronous = OFF')
  connection.pragma('cache_size = -1048576')
  const start = Date.now() - oldestMs
  const step = (oldestMs - youngestMs) / entries
  connection.transaction(() => {
    const addRoom = connection.prepare('INSERT INTO room (room_id, tag) VALUES (?, ?)')
    for (const [index, tag] of roomTagsHex.entries()) addRoom.run(index + 1, Buffer.from(tag, 'hex'))
    connection
      .prepare(
        `WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < :entries)
         INSERT INTO entry (room_id, user_id, nickname, session_id, session_key, return_address, candidates, nat,
           flagged, sent_at, accepted_at)
         SELECT 1 + n % :rooms, randomblob(32), 'agent ' || n, randomblob(16), randomblob(32),
           'agent' || n || '@mail.test', :candidates, :nat, 0,
           :start + CAST(n * :step AS INTEGER), :start + CAST(n * :step AS INTEGER) FROM number`,
      )
      .run({ entries, rooms: roomTagsHex.length, candidates, nat, start, step })
    connection
      .prepare(
        `INSERT INTO seen_letter (sender, letter_id, sent_at)
         SELECT user_id, randomblob(16), sent_at FROM entry`,
      )
      .run()
  })()
  connection.pragma('wal_checkpoint(TRUNCATE)')
  connection.close()
}

fill(JSON.parse(process.argv[2] ?? '') as FillOptions)
