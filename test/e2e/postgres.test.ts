// The commands of a host whose table is in PostgreSQL.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { PeerpostProcess } from '../../src/cli/child-process.ts'
import { checkDatabase } from '../../src/cli/doctor/disk-checks.ts'
import type { Finding } from '../../src/cli/doctor/findings.ts'
import { loadHostConfig } from '../../src/config/load-config.ts'
import { writeSecret } from '../../src/config/secret-files.ts'
import { databasePlace } from '../../src/setup/database-location.ts'
import { postgresMigrations } from '../../src/store/postgres-schema.ts'
import { deferIn } from '../harness/defer.ts'
import { lacks } from '../harness/needs.ts'
import { PostgresCluster } from '../harness/postgres.ts'
import { TestDeployment } from '../harness/test-deployment.ts'

test('invites, blocks, the doctor and two hosts use one PostgreSQL, and its password stays in its file', {
  skip: lacks('postgresql'),
  timeout: 120_000,
}, async (context) => {
  const defer = deferIn(context)
  const cluster = await PostgresCluster.start()
  defer(() => cluster.stop())
  const deployment = await TestDeployment.withHost(defer)
  await deployment.host.stop(30_000)
  const config = deployment.hostConfig()
  const url = await cluster.database()
  writeSecret(join(deployment.folder, 'host', 'table.password'), 'open-sesame')
  const section = `[table]\nurl = ${JSON.stringify(url)}\npassword_file = "table.password"\n`
  writeFileSync(config, readFileSync(config, 'utf8').replace('[table]\n', section))
  const place = databasePlace(loadHostConfig(config, {}))
  assert.deepEqual(place, { url, password: 'open-sesame' })
  const before = checkDatabase(place)
  assert.match(wordsOf(before), /^ok .* answers and has no tables yet/)

  const command = (...args: readonly string[]) =>
    PeerpostProcess.run(args[0] ?? '', [...args, '--config', config])
  await command('invite', '--name', 'friends')
  assert.match(await command('invite', '--list'), /friends/)
  const version = postgresMigrations.length
  assert.match(wordsOf(checkDatabase(place)), new RegExp(`^ok .* its tables are of version ${version}, `))
  assert.match(await command('block', '--list'), /Nobody is blocked/)
  await assert.rejects(
    command('backup', join(deployment.folder, 'copy')),
    (thrown) => thrown instanceof Problem && /pg_dump --schema=peerpost/.test(thrown.line),
  )

  await deployment.makeAgent('anna')
  await deployment.makeAgent('ben')
  const hosts = [deployment.startHost(), deployment.startHost()]
  for (const host of hosts) await host.waitFor('ready')
  await deployment.startAgent('anna').waitFor('replied')
  await deployment.startAgent('ben').waitFor('replied', ({ peers }) => Number(peers) === 1)
  for (const { events } of hosts) assert.doesNotMatch(JSON.stringify(events), /trouble|open-sesame/)
})

function wordsOf({ outcome, text }: Finding): string {
  return `${outcome} ${text}`
}
