// Runs the tests of the tables again on a real PostgreSQL server.

import { after, test } from 'node:test'
import { HostDatabase, openHostDatabase } from '../../src/store/host-database.ts'
import { lacks } from '../harness/needs.ts'
import { PostgresCluster } from '../harness/postgres.ts'
import { useDatabases } from './entries.ts'

/** Each table comes after those that refer to it. TRUNCATE would write and sync a file for each table. */
const tables = [
  'statement',
  'entry',
  'invite_user',
  'introduction',
  'departure',
  'invite',
  'room',
  'seen_letter',
  'mail',
  'sent_hour',
  'unreachable',
  'revocation',
]
const numbered = ['room_room_id', 'entry_entry_order', 'mail_mail_order', 'invite_invite_id']
const emptySql = [
  ...tables.map((table) => `DELETE FROM ${table}`),
  ...numbered.map((name) => `SELECT setval('${name}_seq', 1, false)`),
  'UPDATE tally SET forgotten_until = 0',
].join(';')

const missing = lacks('postgresql')
if (missing) test('the tables on PostgreSQL', { skip: missing })
else {
  const cluster = await PostgresCluster.start()
  after(() => cluster.stop())
  const { connection, path } = openHostDatabase(await cluster.database())
  after(() => connection.close())
  useDatabases(() => {
    connection.exec(emptySql)
    const database = new HostDatabase(path, connection)
    // The next test uses the same connection.
    database.close = () => undefined
    return database
  })
  for (const name of [
    'outbox',
    'peer-table',
    'seen-letters',
    'invite-revocations',
    'send-budget',
    'unreachable-addresses',
  ])
    await import(`./${name}.test.ts`)
}
