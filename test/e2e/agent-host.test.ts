// Agent and host in one program at one mailbox, as people run them: two friends and nobody else (A15).

import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { PeerpostProcess } from '../../src/cli/child-process.ts'
import { deferIn } from '../harness/defer.ts'
import { type MailServers, startMailServers } from '../harness/mail-servers.ts'
import { lacks } from '../harness/needs.ts'
import { linkedTo, mailAt, TestDeployment } from '../harness/test-deployment.ts'
import { waitUntil } from '../harness/wait-until.ts'

const skip = lacks('postfix', 'dovecot')

let mailServers: MailServers
before(async () => {
  if (!skip) mailServers = await startMailServers()
})
after(() => mailServers?.stop())

test('one person hosts the room and plays in it at one mailbox; a friend comes by an invite and they connect', {
  ...{ skip, timeout: 120_000 },
}, async (context) => {
  const deployment = await TestDeployment.open(deferIn(context), { mailOf: mailAt(mailServers) })
  await deployment.makeHost('anna', ['--agent', 'anna'])
  await deployment.makeAgent('ben', 'anna')
  const hosting = deployment.startAgent('anna')
  await hosting.waitFor('replied')
  const friend = deployment.startAgent('ben')
  await Promise.all([hosting.waitFor('connected'), friend.waitFor('connected')])
  for (const role of ['host', 'agent'])
    assert.ok(existsSync(join(deployment.folder, 'anna', `${role}.control.json`)))
  const dropped = hosting.events.filter((event) => event.event === 'letter' && event.outcome === 'dropped')
  assert.deepEqual(dropped, [])
  assert.equal(await hosting.stop(10_000), 0)
  assert.equal(await friend.stop(10_000), 0)
})

test('two agents without any host on line: one becomes host, they connect', {
  ...{ skip, timeout: 180_000 },
}, async (context) => {
  const deployment = await TestDeployment.open(deferIn(context), { mailOf: mailAt(mailServers) })
  await deployment.makeHost('cleo', ['--agent', 'cleo'])
  const room = await deployment.cardOf('cleo', '--room', 'friends')
  await deployment.makeHost('dora', ['--agent', 'dora', '--join', room])
  await deployment.introduce(['dora'], ['cleo'])
  const agents = ['cleo', 'dora'].map((name) => deployment.startAgent(name))
  await Promise.all(agents.map((agent) => agent.waitFor('connected')))
  const awake = agents.filter((agent) =>
    agent.events.some((event) => event.event === 'standing' && event.state === 'awake'),
  )
  assert.equal(awake.length, 1)
  for (const agent of agents) assert.equal(await agent.stop(10_000), 0)
})

test('three agents that are hosts in a chain meet; when the one that answers is killed a friend is answered by another, and who is back stands by', {
  ...{ skip, timeout: 300_000 },
}, async (context) => {
  const names = ['gina', 'hugo', 'ida'] as const
  const deployment = await TestDeployment.open(deferIn(context), { mailOf: mailAt(mailServers) })
  // Each knows the next: who joins by a card knows the host that made it, and that one is given the card of who joined.
  await deployment.makeHost('gina', ['--agent', 'gina'])
  for (const [name, before] of [
    ['hugo', 'gina'],
    ['ida', 'hugo'],
  ] as const) {
    await deployment.makeHost(name, [
      '--agent',
      name,
      '--join',
      await deployment.cardOf(before, '--room', 'friends'),
    ])
    await deployment.introduce([name], [before])
  }
  for (const name of names) {
    const config = deployment.hostConfig(name)
    writeFileSync(config, readFileSync(config, 'utf8').replace('# patience = "15s"', 'patience = "3s"'))
  }
  const agents = new Map(names.map((name) => [name, deployment.startAgent(name)]))
  const agent = (name: string) => agents.get(name as (typeof names)[number]) as PeerpostProcess
  const awake = () =>
    names.filter(
      (name) => agent(name).events.findLast(({ event }) => event === 'standing')?.state === 'awake',
    )
  await waitUntil(
    () => [...agents.values()].every((one) => linkedTo(one).size === 2),
    () => [...agents].map(([name, one]) => `${name}: ${[...linkedTo(one)]}`).join('; '),
    90_000,
  )
  const isSettled = () => !awake().includes('hugo') || awake().length === 1
  await waitUntil(isSettled, () => `awake: ${awake()}`, 60_000)

  const [acting = ''] = awake()
  agent(acting).kill('SIGKILL')
  await agent(acting).ended
  // The invite of the one in the middle names all three.
  await deployment.makeAgent('jan', 'hugo')
  const jan = deployment.startAgent('jan')
  const alive = names.filter((name) => name !== acting)
  await waitUntil(
    () => alive.every((name) => linkedTo(jan).has(name)),
    () => `jan: ${[...linkedTo(jan)]}`,
    90_000,
  )
  assert.ok(awake().some((name) => name !== acting))
  agents.set(acting as (typeof names)[number], deployment.startAgent(acting))
  await waitUntil(
    () => linkedTo(agent(acting)).size === 3,
    () => `${acting}: ${[...linkedTo(agent(acting))]}`,
    90_000,
  )
  await waitUntil(isSettled, () => `awake: ${awake()}`, 60_000)
})
