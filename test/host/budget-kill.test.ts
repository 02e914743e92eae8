// Kills the host at random on real mail servers, while requests come and its day's budget runs out. What is only in memory
// may be lost, but not the count of the budget.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSender } from '../../src/mail/open-mailbox.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { openSharedDatabase } from '../../src/store/host-database.ts'
import { SendBudget } from '../../src/store/send-budget.ts'
import { deferIn } from '../harness/defer.ts'
import { startMailServers } from '../harness/mail-servers.ts'
import { lacks } from '../harness/needs.ts'
import { seededRandom } from '../harness/seeded-crypto.ts'
import { waitUntil } from '../harness/wait-until.ts'
import { FakeAgent, headerOf, hostAddress } from './fakes.ts'
import { HostProcess } from './real-host/host-process.ts'
import { planHost } from './real-host/real-host.ts'
import { mailsIn, namesIn, oneReplyEach } from './real-host/replies.ts'

const perDay = 48
const kills = 14
const requests = 70
/** Letters of one agent that the host accepts in each run, and those that the agent sends. */
const [perKey, sentByPest] = [2, 4]
const seed = Number(process.env.PEERPOST_TEST_SEED ?? 20261124)

test(`a day's budget, replies before introductions and one declined request a run hold while the host is killed ${kills} times (seed ${seed})`, {
  skip: lacks('postfix', 'dovecot'),
  timeout: 240_000,
}, async (context) => {
  const defer = deferIn(context)
  const random = seededRandom(seed)
  const office = await startMailServers()
  defer(() => office.stop())
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-budget-kill-'))
  defer(() => rmSync(folder, { recursive: true }))
  office.maildirOf('host')
  const database = join(folder, 'host.sqlite')
  const { keys, room, options } = planHost({
    receiveUrl: office.imapUrl('host'),
    sendUrl: office.smtpUrl('host'),
    database,
    settings: {
      perDay,
      batchMails: 10,
      retryFirstMs: 200,
      limits: { perKey, perAddress: 0, perDomain: 0 },
    },
  })
  const pest = new FakeAgent('pest', keys, room)
  const agents = Array.from({ length: requests }, (_, index) => new FakeAgent(`agent${index}`, keys, room))
  const everybody = [...agents, pest]
  const sender = createSender(office.smtpUrl('agents'), { clock: systemClock })
  defer(() => sender.close())
  const sendRequest = async (agent: FakeAgent) => {
    const raw = new TextEncoder().encode(agent.mailRequest(Date.now()))
    const { outcome } = await sender.send({ from: agent.address, to: [hostAddress], raw })
    assert.equal(outcome, 'sent')
  }
  const counted = (): number => {
    const open = openSharedDatabase(database)
    try {
      return new SendBudget(open, { perDay }).sent(Date.now())
    } finally {
      open.close()
    }
  }
  const taken = () => everybody.reduce((sum, { name }) => sum + namesIn(office.maildirOf(name)).length, 0)
  const prepare = async () => {
    const host = new HostProcess()
    defer(() => host.kill('SIGKILL'))
    await host.waitFor('loaded')
    return host
  }

  /** Mails that were sent and not counted at a kill, and those that may have been under way. */
  let inFlight = 0
  let host = await prepare()
  for (let kill = 0, before = 0; kill < kills; kill++) {
    host.go(options)
    // Some are killed while they start, most while they work.
    if (random() < 0.8) await host.waitFor('ready')
    const [first, end] = [kill, kill + 1].map((part) => Math.ceil((requests * part) / kills))
    const sending = [...agents.slice(first, end), ...Array<FakeAgent>(sentByPest).fill(pest)].map(sendRequest)
    const next = prepare()
    await sleep(random() * 1_500)
    await host.kill('SIGKILL')
    const [now, emitted] = [counted(), host.counts.get('sent') ?? 0]
    inFlight += emitted - (now - before) + sender.concurrency
    before = now
    assert.ok(now <= perDay, `${now} counted`)
    await Promise.all(sending)
    host = await next
  }
  host.go(options)
  await host.waitFor('ready')
  const left = () => namesIn(office.maildirOf('host')).length
  await waitUntil(
    () => left() === 0 && counted() >= perDay,
    () => `${left()} letters left, ${counted()} mails counted\n${host.stderr}`,
    60_000,
  )
  assert.equal(await host.kill('SIGTERM'), 0, host.stderr)
  assert.equal(counted(), perDay)
  await waitUntil(
    () => taken() >= perDay,
    () => `${taken()} mails came`,
    20_000,
  )

  const lettersOf = (agent: FakeAgent) =>
    new Map(
      mailsIn(office.maildirOf(agent.name)).map((mail) => [headerOf(mail, 'Message-ID'), agent.read(mail)]),
    )
  const kinds = everybody.flatMap((agent) => [...lettersOf(agent).values()].map(({ kind }) => kind))
  const introductions = kinds.filter((kind) => kind === 'introduction').length
  const hasReply = ({ name }: FakeAgent) =>
    mailsIn(office.maildirOf(name)).some((mail) => headerOf(mail, 'In-Reply-To') !== undefined)
  const { copies } = oneReplyEach(agents.filter(hasReply), ({ name }) => office.maildirOf(name))
  const refusals = [...lettersOf(pest).values()].filter(
    (letter) => letter.kind === 'reply' && letter.decline !== undefined,
  ).length
  context.diagnostic(
    `the server took ${taken()} mails, ${copies} of them twice, with a budget of ${perDay} and at most ` +
      `${inFlight} in flight at ${kills} kills; ${introductions} introductions; ${refusals} refusals`,
  )
  assert.ok(taken() <= perDay + inFlight, `${taken()} mails were taken`)
  assert.ok(introductions <= 0.75 * perDay + inFlight, `${introductions} introductions`)
  assert.ok(refusals <= kills + 1, `${refusals} refusals`)
})
