// Created this folder on 28 November 2026: `node --conditions=peerpost-source test/store/version-1/make.ts`. Do not run it
// again: it documents how the files were made.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { initAgent } from '../../../src/cli/init-agent.ts'
import { initHost } from '../../../src/cli/init-host.ts'
import { loadHostConfig } from '../../../src/config/load-config.ts'
import { writeHostCard } from '../../../src/letter/host-card.ts'
import { readHostKeys, roomNamed } from '../../../src/setup/host-keys.ts'
import { draftInvite } from '../../../src/setup/manage-invites.ts'
import { openHostDatabase } from '../../../src/store/host-database.ts'
import { postgresMigrations } from '../../../src/store/postgres-schema.ts'
import { migrations } from '../../../src/store/sqlite-schema.ts'
import { findProgram } from '../../harness/needs.ts'
import { PostgresCluster } from '../../harness/postgres.ts'
import { realCrypto as crypto } from '../../harness/seeded-crypto.ts'
import { writeRows } from './rows.ts'

if (migrations.length !== 1 || postgresMigrations.length !== 1)
  throw new Error('The tables are not of version 1.')

const folder = import.meta.dirname
const [hostFolder, agentFolder] = [join(folder, 'host'), join(folder, 'agent')]

await initHost({
  dir: hostFolder,
  address: 'meet@example.org',
  receive: 'imaps://meet%40example.org:test-password@imap.example.org',
  send: 'smtps://meet%40example.org:test-password@smtp.example.org',
  yes: true,
})
const hostFile = join(hostFolder, 'host.toml')
const other = {
  address: 'other@example.net',
  identity: crypto.signKeyPair().publicKey,
  sealingKey: crypto.boxKeyPair().publicKey,
}
openSettings(hostFile, `\n[[hosts]]\ncard = "${writeHostCard(crypto, { host: other, room: null })}"\n`)

const loaded = loadHostConfig(hostFile, {})
const keys = readHostKeys(crypto, loaded)
const room = roomNamed(keys)
const { text, grant } = draftInvite({ crypto, loaded, keys }, room, {})

await initAgent({
  dir: agentFolder,
  invite: text,
  name: 'anna',
  address: 'anna@example.org',
  receive: 'imaps://anna%40example.org:test-password@imap.example.org',
  send: 'smtps://anna%40example.org:test-password@smtp.example.org',
  yes: true,
})
openSettings(join(agentFolder, 'agent.toml'), '')

const file = loaded.path(loaded.config.table.path)
const database = openHostDatabase(file)
writeRows(database, room.keys.tag, keys.identity, grant)
database.close()
rmSync(`${file}.lock`)

const dumpFile = join(folder, 'postgres.sql')
if (existsSync(dumpFile)) throw new Error(`${dumpFile} exists already.`)
const cluster = await PostgresCluster.start()
try {
  const url = await cluster.database()
  const shared = openHostDatabase(url)
  writeRows(shared, room.keys.tag, keys.identity, grant)
  shared.close()
  const options = ['--schema=peerpost', '--no-owner', '--no-privileges', '--inserts', `--dbname=${url}`]
  const dump = execFileSync(findProgram('pg_dump') ?? 'pg_dump', options, { encoding: 'utf8' })
  // Removes commands that only newer versions of psql know.
  writeFileSync(dumpFile, dump.replace(/^\\.*\n/gm, ''))
} finally {
  await cluster.stop()
}

/** Sets all settings that are commented out, to their defaults. */
function openSettings(path: string, more: string): void {
  writeFileSync(path, readFileSync(path, 'utf8').replace(/^# ([a-z0-9_]+ = )/gm, '$1') + more)
}
