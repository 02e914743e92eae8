// Host and two agents, as a person runs them, over every kind of mailbox: they meet, and the 5,000 mails of other people
// in a mailbox that they share are as they were, byte for byte, flag for flag, UID for UID.

import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import type { ChildEvent } from '../../src/cli/child-process.ts'
import { openMailbox } from '../../src/mail/open-mailbox.ts'
import { systemClock as clock } from '../../src/runtime/system-clock.ts'
import { deferIn } from '../harness/defer.ts'
import { startFakeMailpit } from '../harness/fake-mailpit.ts'
import { type MailServers, startMailServers } from '../harness/mail-servers.ts'
import { dropMail, foreignMails, maildirSnapshot } from '../harness/maildir-files.ts'
import { type Mailpit, startMailpit } from '../harness/mailpit.ts'
import { lacks, lacksUnpackaged } from '../harness/needs.ts'
import { type Mail, TestDeployment } from '../harness/test-deployment.ts'

const skip = lacks('postfix', 'dovecot')
const timeout = 120_000
const foreignCount = 5_000

let mailServers: MailServers
before(async () => {
  if (!skip) mailServers = await startMailServers()
})
after(() => mailServers?.stop())

/** Everybody sets up, meets and leaves; resolves when all have ended. */
async function meet(context: TestContext, mailOf: (user: string) => Mail): Promise<void> {
  const deployment = await TestDeployment.open(deferIn(context), { mailOf })
  await deployment.makeHost('meet')
  const host = deployment.startHost('meet')
  await Promise.all([
    deployment.makeAgent('anna', 'meet'),
    deployment.makeAgent('ben', 'meet'),
    host.waitFor('ready'),
  ])
  const anna = deployment.startAgent('anna')
  await anna.waitFor('replied')
  const ben = deployment.startAgent('ben')
  await Promise.all([anna.waitFor('connected'), ben.waitFor('connected')])
  for (const agent of [ben, anna]) assert.equal(await agent.stop(10_000), 0, agent.errors)
  // Their goodbyes are the last letters; then nothing of ours is left.
  const isLeave = ({ kind }: ChildEvent) => kind === 'leave'
  await host.waitFor('letter', (event) => {
    return isLeave(event) && host.events.filter(isLeave).length === 2
  })
  assert.equal(await host.stop(10_000), 0, host.errors)
}

/** Puts other people's mail there and lets Dovecot number it. */
async function share(user: string): Promise<Map<string, string>> {
  const folder = mailServers.maildirOf(user)
  const address = mailServers.address(user)
  for (const { raw, flags } of foreignMails(address, foreignCount)) dropMail(folder, raw, flags)
  const first = openMailbox(
    mailServers.imapUrl(user),
    { subject: 'none', address, maxBytes: 1_000 },
    { clock },
  )
  await first.open()
  await first.close()
  return maildirSnapshot(folder)
}

const kinds: Record<string, (user: string) => string> = {
  IMAP: (user) => mailServers.imapUrl(user),
  POP3: (user) => mailServers.pop3Url(user),
  'a Maildir': (user) => `maildir:${mailServers.maildirOf(user)}`,
}

for (const [kind, receive] of Object.entries(kinds)) {
  test(`players meet over ${kind}, and a mailbox shared with 5,000 foreign mails is left as it was`, {
    ...{ skip, timeout },
  }, async (context) => {
    const name = (user: string) => `${user}-${kind.replace(' ', '-').toLowerCase()}`
    const foreign = await share(name('meet'))
    assert.equal(foreign.size, foreignCount)
    await meet(context, (user) => ({
      address: mailServers.address(name(user)),
      receive: receive(name(user)),
      send: mailServers.smtpUrl(name(user)),
    }))
    assert.deepEqual(maildirSnapshot(mailServers.maildirOf(name('meet'))), foreign)
    for (const user of ['anna', 'ben'] as const) {
      assert.equal(maildirSnapshot(mailServers.maildirOf(name(user))).size, 0, user)
    }
  })
}

/** All three read and write at one Mailpit, as developers do. */
async function meetAtMailpit(context: TestContext, mailpit: Mailpit): Promise<void> {
  deferIn(context)(() => mailpit.stop())
  await mailpit.deliver(foreignMails('meet@mail.test', foreignCount).map(({ raw }) => raw))
  const foreign = await mailpit.mails()
  assert.equal(foreign.length, foreignCount)
  await meet(context, (user) => ({
    address: `${user}@mail.test`,
    receive: `mailpit+http://127.0.0.1:${mailpit.webPort}`,
    send: `smtp://127.0.0.1:${mailpit.smtpPort}`,
  }))
  assert.deepEqual(await mailpit.mails(), foreign)
}

test(
  'players meet over Mailpit, and the 5,000 mails of everybody else are left as they were',
  {
    ...{ skip: lacksUnpackaged('mailpit'), timeout },
  },
  async (context) => meetAtMailpit(context, await startMailpit()),
)

test(
  'players meet over what stands in for Mailpit, and 5,000 mails of everybody else are left as they were',
  {
    ...{ skip: !lacksUnpackaged('mailpit'), timeout },
  },
  async (context) => meetAtMailpit(context, await startFakeMailpit()),
)
