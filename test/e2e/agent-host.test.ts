// Agent and host in one program at one mailbox, as people run them: two friends and nobody else (mission A15).

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { startAddressServer } from '../../src/address-server/address-server.ts'
import { formatEndpoint } from '../../src/base/endpoint.ts'
import { PeerpostProcess } from '../../src/cli/child-process.ts'
import { deferIn } from '../harness/defer.ts'
import { lacks } from '../harness/needs.ts'
import { type PostOffice, startPostOffice } from '../harness/post-office.ts'

const skip = lacks('postfix', 'dovecot')

let office: PostOffice
before(async () => {
  if (!skip) office = await startPostOffice()
})
after(() => office?.stop())

/** A STUN server and what people do, with everything removed at the end. */
async function townOf(context: TestContext) {
  const defer = deferIn(context)
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-agent-host-'))
  defer(() => rmSync(folder, { recursive: true, force: true }))
  const stun = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }] })
  defer(() => stun.close())
  const servers = stun.endpoints.flatMap((endpoint) => ['--stun', formatEndpoint(endpoint)])
  const run = (...args: string[]) => PeerpostProcess.run(args.slice(0, 2).join(' '), args)
  const mail = (user: string) => [
    ...['--address', office.address(user), '--receive', office.imapUrl(user), '--send', office.smtpUrl(user)],
    '--yes',
  ]
  const start = (name: string, config: string) => {
    const agent = new PeerpostProcess(name, ['agent', '--config', config, '--json'])
    defer(() => agent.stop(5_000))
    return agent
  }
  return { run, mail, servers, folder, start }
}

test('one person hosts the room and plays in it at one mailbox; a friend comes by an invite and they connect', {
  ...{ skip, timeout: 120_000 },
}, async (context) => {
  const { run, mail, servers, folder, start } = await townOf(context)
  const anna = join(folder, 'anna')
  const ben = join(folder, 'ben')
  await run('init', 'host', '--dir', anna, '--agent', 'anna', ...mail('both'), ...servers)
  const invite = await run('invite', '--config', join(anna, 'host.toml'))
  await run('init', 'agent', '--dir', ben, '--invite', invite, '--name', 'ben', ...mail('ben'))
  const hosting = start('anna', join(anna, 'agent.toml'))
  await hosting.waitFor('replied')
  const friend = start('ben', join(ben, 'agent.toml'))
  await Promise.all([hosting.waitFor('connected'), friend.waitFor('connected')])
  assert.ok(existsSync(join(anna, 'host.control.json')))
  assert.ok(existsSync(join(anna, 'agent.control.json')))
  const dropped = hosting.events.filter((event) => event.event === 'letter' && event.outcome === 'dropped')
  assert.deepEqual(dropped, [])
  assert.equal(await hosting.stop(10_000), 0)
  assert.equal(await friend.stop(10_000), 0)
})

test('two agents without any host on line: one becomes host, they connect', {
  ...{ skip, timeout: 180_000 },
}, async (context) => {
  const { run, mail, servers, folder, start } = await townOf(context)
  const config = (name: string, kind: 'host' | 'agent') => join(folder, name, `${kind}.toml`)
  await run('init', 'host', '--dir', join(folder, 'cleo'), '--agent', 'cleo', ...mail('cleo'), ...servers)
  const room = await run('host', 'card', '--config', config('cleo', 'host'), '--room', 'friends')
  const joined = ['--agent', 'dora', '--join', room]
  await run('init', 'host', '--dir', join(folder, 'dora'), ...joined, ...mail('dora'))
  const card = await run('host', 'card', '--config', config('dora', 'host'))
  await run('host', 'peer', 'add', '--config', config('cleo', 'host'), card)
  const agents = ['cleo', 'dora'].map((name) => start(name, config(name, 'agent')))
  await Promise.all(agents.map((agent) => agent.waitFor('connected')))
  const awake = agents.filter((agent) =>
    agent.events.some((event) => event.event === 'standing' && event.state === 'awake'),
  )
  assert.equal(awake.length, 1)
  for (const agent of agents) assert.equal(await agent.stop(10_000), 0)
})
