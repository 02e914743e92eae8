// A representative host and three workers on four mailboxes, as people set them up and run them: agents that know the
// representative alone meet, also when a worker is killed.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startAddressServer } from '../../src/address-server/address-server.ts'
import { formatEndpoint } from '../../src/base/endpoint.ts'
import { type ChildEvent, PeerpostProcess } from '../../src/cli/child-process.ts'
import { deferIn } from '../harness/defer.ts'
import { lacks } from '../harness/needs.ts'
import { type PostOffice, startPostOffice } from '../harness/post-office.ts'
import { waitUntil } from '../harness/wait-until.ts'

const skip = lacks('postfix', 'dovecot')
const workerNames = ['first', 'second', 'third'] as const
const names = ['anna', 'ben', 'cleo', 'dora', 'emil', 'finn'] as const

let office: PostOffice
before(async () => {
  if (!skip) office = await startPostOffice()
})
after(() => office?.stop())

function count(process: PeerpostProcess, event: string, kind: string): number {
  return process.events.filter(
    (one) => one.event === event && (one as ChildEvent & { kind?: string }).kind === kind,
  ).length
}

test('agents of a representative host meet, each worker has its share, and one that is killed is done without', {
  ...{ skip, timeout: 420_000 },
}, async (context) => {
  const defer = deferIn(context)
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-representative-'))
  defer(() => rmSync(folder, { recursive: true, force: true }))
  const stun = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }] })
  defer(() => stun.close())
  const run = (...args: string[]) => PeerpostProcess.run(args.slice(0, 2).join(' '), args)
  const mail = (user: string) => [
    ...['--address', office.address(user), '--receive', office.imapUrl(user), '--send', office.smtpUrl(user)],
    '--yes',
  ]
  const config = (name: string) => join(folder, name, 'host.toml')
  const cardOf = (name: string, ...more: string[]) => run('host', 'card', '--config', config(name), ...more)

  const servers = stun.endpoints.flatMap((endpoint) => ['--stun', formatEndpoint(endpoint)])
  await run('init', 'host', '--dir', join(folder, 'meet'), ...mail('meet'), '--representative')
  const represent = ['--represent', await cardOf('meet')]
  await run('init', 'host', '--dir', join(folder, 'first'), ...mail('first'), ...servers, ...represent)
  const withRoom = await cardOf('first', '--room', 'friends')
  for (const name of ['second', 'third']) {
    await run('init', 'host', '--dir', join(folder, name), ...mail(name), '--join', withRoom)
  }
  for (const name of workerNames) {
    const card = await cardOf(name)
    for (const other of ['meet', ...workerNames]) {
      if (other !== name) await run('host', 'peer', 'add', '--config', config(other), card)
    }
  }
  const hosts = new Map<string, PeerpostProcess>()
  for (const name of ['meet', ...workerNames]) {
    const silence = ['env', 'PEERPOST_LETTERS_WORKER_SILENCE=10s']
    const host = new PeerpostProcess(name, ['host', '--config', config(name), '--json'], undefined, silence)
    defer(() => host.stop(5_000))
    hosts.set(name, host)
    await host.waitFor('ready')
  }
  const host = (name: string) => hosts.get(name) as PeerpostProcess

  const agents = new Map<string, PeerpostProcess>()
  for (const [index, name] of names.entries()) {
    // Whichever worker makes the invite: all of them let in by it.
    const invite = await run('invite', '--config', config(workerNames[index % 3] as string))
    await run('init', 'agent', '--dir', join(folder, name), '--invite', invite, '--name', name, ...mail(name))
    const agent = new PeerpostProcess(name, ['agent', '--config', join(folder, name, 'agent.toml'), '--json'])
    defer(() => agent.stop(5_000))
    agents.set(name, agent)
  }
  const linked = (agent: PeerpostProcess) =>
    new Set(
      agent.events.flatMap((event) =>
        event.event === 'connected' ? [(event as ChildEvent & { peer?: { name: string } }).peer?.name] : [],
      ),
    ).size
  await waitUntil(
    () => [...agents.values()].every((agent) => linked(agent) === names.length - 1),
    () => [...agents].map(([name, agent]) => `${name}: ${linked(agent)}`).join('; '),
    60_000,
  )
  for (const name of workerNames) assert.ok(count(host(name), 'sent', 'reply') >= 2, name)
  assert.equal(count(host('meet'), 'sent', 'reply'), 0)

  // Its agents ask again by themselves, and their letters go to the others once it was silent for too long.
  host('first').kill('SIGKILL')
  await host('first').ended
  const answered = () =>
    ['second', 'third'].reduce((sum, name) => sum + count(host(name), 'sent', 'reply'), 0)
  for (const name of names) assert.equal(await agents.get(name)?.stop(10_000), 0)
  const before = answered()
  for (const name of names) {
    const agent = new PeerpostProcess(name, ['agent', '--config', join(folder, name, 'agent.toml'), '--json'])
    defer(() => agent.stop(5_000))
    agents.set(name, agent)
  }
  await waitUntil(
    () => [...agents.values()].every((agent) => agent.events.some(({ event }) => event === 'replied')),
    () => [...agents].map(([name, agent]) => `${name}: ${agent.events.length} events`).join('; '),
    60_000,
  )
  assert.ok(answered() - before >= names.length)
})
