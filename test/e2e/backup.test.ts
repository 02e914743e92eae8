// `peerpost backup` as a host's owner runs it: while letters come, and then in the place of what was lost.

import assert from 'node:assert/strict'
import { renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { PeerpostProcess } from '../../src/cli/child-process.ts'
import { openSharedDatabase } from '../../src/store/host-database.ts'
import { inspectHostDatabase } from '../../src/store/inspect-database.ts'
import { damageDatabase } from '../harness/damage-database.ts'
import { deferIn } from '../harness/defer.ts'
import { TestDeployment } from '../harness/test-deployment.ts'

const early = ['anna', 'ben', 'carol', 'dora'] as const

test('copies made while agents ask are whole, and a host goes on from one, also with letters that came meanwhile', {
  timeout: 300_000,
}, async (context) => {
  const deployment = await TestDeployment.withHost(deferIn(context))
  const config = deployment.hostConfig()
  const database = join(deployment.folder, 'host', 'host.sqlite')
  const backUp = (file: string) => PeerpostProcess.run('backup', ['backup', file, '--config', config])
  for (const name of [...early, 'erik', 'fay']) await deployment.makeAgent(name)

  const agents = early.map((name) => deployment.startAgent(name))
  let areAnswered = false
  const answered = Promise.all(agents.map((agent) => agent.waitFor('replied'))).finally(() => {
    areAnswered = true
  })
  const copies: string[] = []
  do {
    const copy = join(deployment.folder, `copy-${copies.length}.sqlite`)
    const line = await backUp(copy)
    assert.ok(
      line.startsWith(`${copy}: `) && /kB\. Keys, secrets and config are not in it\.$/.test(line),
      line,
    )
    copies.push(copy)
  } while (!areAnswered)
  await answered
  for (const copy of copies) {
    assert.equal(inspectHostDatabase(copy).state, 'sound')
    assert.equal(statSync(copy).mode & 0o777, 0o600)
  }

  const last = join(deployment.folder, 'last.sqlite')
  await backUp(last)
  await assert.rejects(
    backUp(last),
    (thrown) => thrown instanceof Problem && /last\.sqlite exists already/.test(thrown.line),
  )
  // Who comes after the copy is forgotten with the file, and met again by its next request.
  await deployment.startAgent('erik').waitFor('replied', ({ peers }) => Number(peers) >= early.length)
  assert.equal(
    deployment.host.events.some(({ event }) => event === 'trouble'),
    false,
  )

  await deployment.host.stop(30_000)
  for (const name of [database, `${database}-wal`, `${database}-shm`]) rmSync(name, { force: true })
  renameSync(last, database)
  const fay = deployment.startAgent('fay')
  await fay.waitFor('requested')
  const host = deployment.startHost()
  await host.waitFor('ready')
  await fay.waitFor('replied', ({ peers }) => Number(peers) >= early.length)
  const restored = openSharedDatabase(database)
  const { entries } = restored.counts()
  restored.close()
  assert.ok(entries > early.length, `${entries} entries`)
  assert.equal(
    host.events.some(({ event }) => event === 'trouble'),
    false,
  )
})

test('a host whose database is damaged ends with what to do, and the backup it names mends it', {
  timeout: 300_000,
}, async (context) => {
  const deployment = await TestDeployment.withHost(deferIn(context))
  const config = deployment.hostConfig()
  const database = join(deployment.folder, 'host', 'host.sqlite')
  const copy = join(deployment.folder, 'copy.sqlite')
  const backUp = (file: string) => PeerpostProcess.run('backup', ['backup', file, '--config', config])
  await deployment.makeAgent('anna')
  await deployment.startAgent('anna').waitFor('replied')
  await backUp(copy)
  damageDatabase(database)
  await deployment.makeAgent('ben')
  const ben = deployment.startAgent('ben')
  assert.equal(await deployment.host.ended, 1)
  const line =
    /^peerpost: The host's database .*host\.sqlite is damaged .*move .*host\.sqlite away.*peerpost backup/m
  assert.match(deployment.host.errors, line)
  await assert.rejects(
    backUp(join(deployment.folder, 'bad.sqlite')),
    (thrown) => thrown instanceof Problem && /damaged/.test(thrown.line),
  )
  const again = deployment.startHost()
  assert.equal(await again.ended, 1)
  assert.match(again.errors, line)
  for (const name of [database, `${database}-wal`, `${database}-shm`]) rmSync(name, { force: true })
  renameSync(copy, database)
  deployment.startHost()
  await ben.waitFor('replied', ({ peers }) => peers === 1)
})
