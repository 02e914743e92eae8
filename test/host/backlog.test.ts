// A host that starts with 1,000 waiting requests: all are answered once, and a request that comes meanwhile does not wait for
// the end of the backlog. `npm run bench -- backlog` does this with 2,000.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { deferIn } from '../harness/defer.ts'
import { type MailServers, startMailServers } from '../harness/mail-servers.ts'
import { dropMail } from '../harness/maildir-files.ts'
import { lacks } from '../harness/needs.ts'
import { startSmtpSink } from '../harness/smtp-sink.ts'
import type { FakeAgent } from './fakes.ts'
import { workOffBacklog } from './real-host/work-off-backlog.ts'
import { Stage } from './virtual-hosts.ts'

const skip = lacks('postfix', 'dovecot')

let office: MailServers
before(async () => {
  if (!skip) office = await startMailServers()
})
after(() => office?.stop())

for (const [protocol, waiting] of [
  ['imap', 1_000],
  ['pop3', 1_000],
  ['maildir', 1_000],
] as const) {
  test(`over ${protocol} ${waiting} waiting requests are answered once each, and who asks meanwhile at once`, {
    skip,
  }, async (context) => {
    const defer = deferIn(context)
    const sink = await startSmtpSink()
    defer(() => sink.stop())
    const user = `host-${protocol}`
    const folder = office.maildirOf(user)
    const run = await workOffBacklog({
      defer,
      sink,
      waiting,
      address: office.address(user),
      receive: { imap: office.imapUrl(user), pop3: office.pop3Url(user), maildir: `maildir:${folder}` }[
        protocol
      ],
      deliver: (mail) => void dropMail(folder, Buffer.from(mail, 'latin1')),
    })
    assert.deepEqual(run.repliesEach, [1])
    // In mailbox order it would be answered last. A POP3 session shows new mail only after a new login.
    assert.ok((run.late[0]?.oldUnanswered ?? 0) > waiting / 10, JSON.stringify(run.late))
    // Every fourth mail is the oldest one, so the oldest tenth is answered before half of all are.
    assert.ok(run.tenthAt < 0.6 * waiting, `${run.tenthAt} of ${waiting}`)
    const held = run.late.map(({ heldMB }) => heldMB)
    assert.ok(Math.max(...held) - Math.min(...held) < 20, `${held.join(', ')} MB`)
  })
}

test('a host that cannot remember all that waits takes the oldest first, and none is taken for stale', async () => {
  const stage = new Stage({ seenCapacity: 300, batchMails: 10, replyPeers: 0 })
  const agents = Array.from({ length: 400 }, (_, index) => stage.agent(`agent${index}`))
  const sendRequest = (agent: FakeAgent) => stage.deliver(agent.mailRequest(stage.now))
  for (const agent of agents) {
    sendRequest(agent)
    await stage.clock.advance(10)
  }
  await stage.start()
  await stage.until(() => stage.sender.sent.length > 100)
  const late = Array.from({ length: 20 }, (_, index) => stage.agent(`late${index}`))
  for (const agent of late) {
    sendRequest(agent)
    await stage.clock.advance(10)
  }
  await stage.settle()
  assert.deepEqual(stage.drops(), [])
  for (const agent of [...agents, ...late]) assert.equal(stage.lettersTo(agent).length, 1, agent.name)
  await stage.stop()
})
