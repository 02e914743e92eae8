// Three hosts on three mailboxes, as people run them, and eight agents spread over them: all meet, also while hosts are
// dead, and those that come back hold the same table as the others.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import BetterSqlite3 from 'better-sqlite3'
import type { PeerpostProcess } from '../../src/cli/child-process.ts'
import { deferIn } from '../harness/defer.ts'
import { type MailServers, startMailServers } from '../harness/mail-servers.ts'
import { lacks } from '../harness/needs.ts'
import { linkedTo, mailAt, TestDeployment } from '../harness/test-deployment.ts'
import { waitUntil } from '../harness/wait-until.ts'

const skip = lacks('postfix', 'dovecot')
const hostNames = ['first', 'second', 'third'] as const
const names = ['anna', 'ben', 'cleo', 'dora', 'emil', 'finn', 'gina', 'hugo'] as const

let mailServers: MailServers
before(async () => {
  if (!skip) mailServers = await startMailServers()
})
after(() => mailServers?.stop())

/** What the host knows of whom, as it compares it with other hosts. */
function tableOf(database: string): string {
  const connection = new BetterSqlite3(database, { readonly: true })
  try {
    const rows = connection
      .prepare('SELECT item_key, version, flagged FROM statement ORDER BY item_key')
      .all()
    return JSON.stringify(rows)
  } finally {
    connection.close()
  }
}

test('eight agents of three hosts all meet, with all hosts alive, with one killed and with two', {
  ...{ skip, timeout: 300_000 },
}, async (context) => {
  const deployment = await TestDeployment.open(deferIn(context), { mailOf: mailAt(mailServers) })
  await deployment.makeHosts(hostNames)
  const hosts = new Map<string, PeerpostProcess>()
  const startHost = async (name: string) => {
    const host = deployment.startHost(name)
    hosts.set(name, host)
    await host.waitFor('ready')
  }
  await Promise.all(hostNames.map(startHost))
  const kill = async (name: string) => {
    hosts.get(name)?.kill('SIGKILL')
    await hosts.get(name)?.ended
  }

  const agents = new Map<string, PeerpostProcess>()
  for (const [index, name] of names.entries())
    await deployment.makeAgent(name, hostNames[index % 3] as string)
  const startAgent = (name: string) => agents.set(name, deployment.startAgent(name))
  const allMeet = (what: string) =>
    waitUntil(
      () => [...agents.values()].every((agent) => linkedTo(agent).size === agents.size - 1),
      () => `${what}: ${[...agents].map(([name, agent]) => `${name} ${[...linkedTo(agent)]}`).join('; ')}`,
      60_000,
    )
  for (const name of names) startAgent(name)
  await allMeet('all hosts alive')

  for (const [dead, backAgain] of [
    ['first', ['anna', 'ben']],
    ['second', ['cleo', 'dora']],
  ] as const) {
    await kill(dead)
    for (const name of backAgain) assert.equal(await agents.get(name)?.stop(10_000), 0)
    for (const name of backAgain) startAgent(name)
    await allMeet(`${dead} dead`)
  }

  await Promise.all([startHost('first'), startHost('second')])
  const tables = () => hostNames.map((name) => tableOf(join(deployment.folder, name, 'host.sqlite')))
  await waitUntil(
    () => new Set(tables()).size === 1,
    () => tables().join('\n'),
    30_000,
  )
  assert.equal(JSON.parse(tables()[0] ?? '[]').length, names.length)
})
