// Three hosts on three mailboxes, as people run them, and eight agents spread over them: all meet, also while hosts are
// dead, and those that come back hold the same table as the others.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import BetterSqlite3 from 'better-sqlite3'
import { startAddressServer } from '../../src/address-server/address-server.ts'
import { formatEndpoint } from '../../src/base/endpoint.ts'
import { type ChildEvent, PeerpostProcess } from '../../src/cli/child-process.ts'
import { deferIn } from '../harness/defer.ts'
import { lacks } from '../harness/needs.ts'
import { type PostOffice, startPostOffice } from '../harness/post-office.ts'
import { waitUntil } from '../harness/wait-until.ts'

const skip = lacks('postfix', 'dovecot')
const hostNames = ['first', 'second', 'third'] as const
const names = ['anna', 'ben', 'cleo', 'dora', 'emil', 'finn', 'gina', 'hugo'] as const

let office: PostOffice
before(async () => {
  if (!skip) office = await startPostOffice()
})
after(() => office?.stop())

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

function linked(agent: PeerpostProcess): Set<string> {
  const peers = new Set<string>()
  for (const event of agent.events) {
    const { name } = (event as ChildEvent & { peer?: { name: string } }).peer ?? {}
    if (name && event.event === 'connected') peers.add(name)
    if (name && event.event === 'disconnected') peers.delete(name)
  }
  return peers
}

test('eight agents of three hosts all meet, with all hosts alive, with one killed and with two', {
  ...{ skip, timeout: 300_000 },
}, async (context) => {
  const defer = deferIn(context)
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-several-hosts-'))
  defer(() => rmSync(folder, { recursive: true, force: true }))
  const stun = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }] })
  defer(() => stun.close())
  const run = (...args: string[]) => PeerpostProcess.run(args.slice(0, 2).join(' '), args)
  const mail = (user: string) => [
    ...['--address', office.address(user), '--receive', office.imapUrl(user), '--send', office.smtpUrl(user)],
    '--yes',
  ]
  const config = (name: string) => join(folder, name, 'host.toml')

  // One makes the room; the others join it by its card, and each learns the cards of the others.
  const servers = stun.endpoints.flatMap((endpoint) => ['--stun', formatEndpoint(endpoint)])
  await run('init', 'host', '--dir', join(folder, 'first'), ...mail('first'), ...servers)
  const withRoom = await run('host', 'card', '--config', config('first'), '--room', 'friends')
  for (const name of ['second', 'third']) {
    await run('init', 'host', '--dir', join(folder, name), ...mail(name), '--join', withRoom)
  }
  for (const name of hostNames) {
    const card = await run('host', 'card', '--config', config(name))
    for (const other of hostNames) {
      if (other !== name) await run('host', 'peer', 'add', '--config', config(other), card)
    }
  }
  const hosts = new Map<string, PeerpostProcess>()
  const startHost = async (name: string) => {
    const host = new PeerpostProcess(name, ['host', '--config', config(name), '--json'])
    defer(() => host.stop(5_000))
    hosts.set(name, host)
    await host.waitFor('ready')
  }
  await Promise.all(hostNames.map(startHost))
  const kill = async (name: string) => {
    hosts.get(name)?.kill('SIGKILL')
    await hosts.get(name)?.ended
  }

  const agents = new Map<string, PeerpostProcess>()
  for (const [index, name] of names.entries()) {
    const invite = await run('invite', '--config', config(hostNames[index % 3] as string))
    await run('init', 'agent', '--dir', join(folder, name), '--invite', invite, '--name', name, ...mail(name))
  }
  const startAgent = (name: string) => {
    const agent = new PeerpostProcess(name, ['agent', '--config', join(folder, name, 'agent.toml'), '--json'])
    defer(() => agent.stop(5_000))
    agents.set(name, agent)
  }
  const allMeet = (what: string) =>
    waitUntil(
      () => [...agents.values()].every((agent) => linked(agent).size === agents.size - 1),
      () => `${what}: ${[...agents].map(([name, agent]) => `${name} ${[...linked(agent)]}`).join('; ')}`,
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
  const tables = () => hostNames.map((name) => tableOf(join(folder, name, 'host.sqlite')))
  await waitUntil(
    () => new Set(tables()).size === 1,
    () => tables().join('\n'),
    30_000,
  )
  assert.equal(JSON.parse(tables()[0] ?? '[]').length, names.length)
})
