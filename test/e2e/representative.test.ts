// A representative host and three workers on four mailboxes, as people set them up and run them: agents that know the
// representative alone meet, also when a worker is killed.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ChildEvent, PeerpostProcess } from '../../src/cli/child-process.ts'
import { deferIn } from '../harness/defer.ts'
import { type MailServers, startMailServers } from '../harness/mail-servers.ts'
import { lacks } from '../harness/needs.ts'
import { linkedTo, mailAt, TestDeployment } from '../harness/test-deployment.ts'
import { waitUntil } from '../harness/wait-until.ts'

const skip = lacks('postfix', 'dovecot')
const workerNames = ['first', 'second', 'third'] as const
const names = ['anna', 'ben', 'cleo', 'dora', 'emil', 'finn'] as const

let mailServers: MailServers
before(async () => {
  if (!skip) mailServers = await startMailServers()
})
after(() => mailServers?.stop())

function count(process: PeerpostProcess, event: string, kind: string): number {
  return process.events.filter(
    (one) => one.event === event && (one as ChildEvent & { kind?: string }).kind === kind,
  ).length
}

test('agents of a representative host meet, each worker has its share, and one that is killed is done without', {
  ...{ skip, timeout: 420_000 },
}, async (context) => {
  const deployment = await TestDeployment.open(deferIn(context), { mailOf: mailAt(mailServers) })
  await deployment.makeRepresentation('meet', workerNames)
  const hosts = new Map<string, PeerpostProcess>()
  for (const name of ['meet', ...workerNames]) {
    const host = deployment.startHost(name, [], { prefix: ['env', 'PEERPOST_LETTERS_WORKER_SILENCE=10s'] })
    hosts.set(name, host)
    await host.waitFor('ready')
  }
  const host = (name: string) => hosts.get(name) as PeerpostProcess

  const agents = new Map<string, PeerpostProcess>()
  for (const [index, name] of names.entries()) {
    // Whichever worker makes the invite: all of them let in by it.
    await deployment.makeAgent(name, workerNames[index % 3] as string)
    agents.set(name, deployment.startAgent(name))
  }
  await waitUntil(
    () => [...agents.values()].every((agent) => linkedTo(agent).size === names.length - 1),
    () => [...agents].map(([name, agent]) => `${name}: ${linkedTo(agent).size}`).join('; '),
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
  for (const name of names) agents.set(name, deployment.startAgent(name))
  await waitUntil(
    () => [...agents.values()].every((agent) => agent.events.some(({ event }) => event === 'replied')),
    () => [...agents].map(([name, agent]) => `${name}: ${agent.events.length} events`).join('; '),
    60_000,
  )
  assert.ok(answered() - before >= names.length)
})
