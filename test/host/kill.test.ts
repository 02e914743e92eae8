// Kills the host repeatedly on real mail servers: each request gets one reply. `npm run bench -- soak` does this for minutes,
// while connections break.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSender } from '../../src/mail/open-mailbox.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { startMailServers } from '../harness/mail-servers.ts'
import { lacks } from '../harness/needs.ts'
import { seededRandom } from '../harness/seeded-crypto.ts'
import { FakeAgent, hostAddress } from './fakes.ts'
import { HostProcess } from './real-host/host-process.ts'
import { planHost } from './real-host/real-host.ts'
import { mailsIn, oneReplyEach } from './real-host/replies.ts'

const [requests, kills] = (process.env.PEERPOST_TEST_KILLS ?? '80,20').split(',').map(Number) as [
  number,
  number,
]
const seed = Number(process.env.PEERPOST_TEST_SEED ?? 20261121)

function sleep(forMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, forMs))
}

test(`${requests} requests get their one reply each while the host is killed ${kills} times (seed ${seed})`, {
  skip: lacks('postfix', 'dovecot'),
  timeout: 240_000,
}, async () => {
  const random = seededRandom(seed)
  const office = await startMailServers()
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-kill-'))
  const { keys, room, options } = planHost({
    receiveUrl: office.imapUrl('host'),
    sendUrl: office.smtpUrl('host'),
    database: join(folder, 'host.db'),
    settings: { batchMails: 10, retryFirstMs: 200 },
  })
  const agents = Array.from({ length: requests }, (_, index) => new FakeAgent(`agent${index}`, keys, room))
  const sender = createSender(office.smtpUrl('agents'), { clock: systemClock })
  const sendRequest = async (agent: FakeAgent) => {
    const raw = new TextEncoder().encode(agent.mailRequest(Date.now()))
    const outcome = await sender.send({ from: agent.address, to: [hostAddress], raw })
    assert.equal(outcome.outcome, 'sent')
  }
  const running = new Set<HostProcess>()
  const prepare = () => {
    const host = new HostProcess()
    running.add(host)
    return host
  }
  try {
    office.maildirOf('host')
    let next = prepare()
    let sent = 0
    for (let kill = 0; kill < kills; kill++) {
      const host = next
      next = prepare()
      await host.waitFor('loaded')
      host.go(options)
      // Some are killed while they start, most while they work.
      if (random() < 0.8) await host.waitFor('ready')
      const until = Math.ceil((requests * (kill + 1)) / kills)
      const sending = Promise.all(agents.slice(sent, until).map(sendRequest))
      sent = until
      await sleep(random() * 500)
      await host.kill('SIGKILL')
      running.delete(host)
      await sending
    }
    await next.waitFor('loaded')
    next.go(options)
    await next.waitFor('ready')
    const deadline = Date.now() + 60_000
    const waiting = () => agents.filter(({ name }) => mailsIn(office.maildirOf(name)).length === 0)
    const left = () => mailsIn(office.maildirOf('host')).length
    while ((waiting().length > 0 || left() > 0) && Date.now() < deadline) {
      await sleep(100)
    }
    assert.equal(await next.kill('SIGTERM'), 0, next.stderr)
    running.delete(next)

    oneReplyEach(agents, ({ name }) => office.maildirOf(name))
    assert.equal(left(), 0)
  } finally {
    for (const host of running) await host.kill('SIGKILL')
    await sender.close()
    await office.stop()
    rmSync(folder, { recursive: true })
  }
})
