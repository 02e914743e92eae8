// Bounces of a real Postfix and vacation notices of a real Dovecot.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { HostEvent } from '../../src/host/host.ts'
import { goneUser, startMailServers } from '../harness/mail-servers.ts'
import { lacks } from '../harness/needs.ts'
import { subject } from './fakes.ts'
import { planHostAt, runHostAt } from './real-host/running-host.ts'

const dropped = (reason: string) => (event: HostEvent) =>
  event.event === 'letter' && event.outcome === 'dropped' && event.reason === reason
const isReply = (event: HostEvent) => event.event === 'sent' && event.kind === 'reply'

function mailsOf(folder: string): string[] {
  return ['new', 'cur'].flatMap((part) =>
    readdirSync(join(folder, part)).map((name) => readFileSync(join(folder, part, name), 'utf8')),
  )
}

test('a reply that Postfix cannot deliver bounces, the host recognises it, and the address gets no second one', {
  skip: lacks('postfix', 'dovecot'),
}, async () => {
  const office = await startMailServers()
  const host = await runHostAt(office, planHostAt(office, 'host'))
  try {
    const gone = host.agent(goneUser)
    const to = office.address('host')
    // A bounce of a person's own mail in the same mailbox is left alone.
    const personal = `From: MAILER-DAEMON@mail.test\r\nTo: ${to}\r\nSubject: Undelivered\r\n\r\nTo: aunt@mail.test\r\nMessage-ID: <${'0'.repeat(48)}@mail.test>\r\n`
    await host.post(to, to, personal)
    await host.post(gone.address, to, gone.mailRequest(Date.now()))
    await host.until(dropped('bounce'))
    await host.post(gone.address, to, gone.mailRequest(Date.now()))
    await host.until(dropped('unreachable'))
    assert.equal(host.events.filter(isReply).length, 1)
    await host.stop()
    const left = mailsOf(office.maildirOf('host'))
    assert.equal(left.length, 1)
    assert.match(left[0] ?? '', /aunt@mail\.test/)
  } finally {
    await host.stop()
    await office.stop()
  }
})

test('a host and vacation notices on both sides never answer each other', {
  skip: lacks('postfix', 'dovecot', 'dovecot-sieve'),
}, async () => {
  const office = await startMailServers({
    sieve: `require ["vacation", "vacation-seconds", "envelope"];
if envelope :localpart "to" ["host", "away"] {
  vacation :seconds 0 :subject "${subject}" "I am on holiday.";
}
`,
  })
  const host = await runHostAt(office, planHostAt(office, 'host'))
  try {
    const [to, person] = [office.address('host'), office.address('person')]
    // The notices work: a person who writes by hand gets one from each.
    for (const user of ['away', 'host']) {
      const recipient = office.address(user)
      await host.post(
        person,
        recipient,
        `From: ${person}\r\nTo: ${recipient}\r\nSubject: ${subject}\r\n\r\nHello!\r\n`,
      )
    }
    await host.until(dropped('no-letter'))
    const away = host.agent('away')
    office.maildirOf('away')
    for (let count = 1; count <= 3; count++) {
      await host.post(away.address, to, `Auto-Submitted: auto-generated\r\n${away.mailRequest(Date.now())}`)
      await host.until(isReply, count)
    }
    // When this last mail is handled, all earlier ones are, too.
    await host.post(person, to, `From: ${person}\r\nTo: ${to}\r\nSubject: ${subject}\r\n\r\nBye!\r\n`)
    await host.until(dropped('no-letter'), 2)
    assert.equal(host.events.filter(({ event }) => event === 'letter').length, 5)
    assert.equal(host.events.filter(({ event }) => event === 'sent').length, 3)
    const notices = mailsOf(office.maildirOf('person'))
    assert.deepEqual(
      notices.map((mail) => /^Auto-Submitted: .*$/m.exec(mail)?.[0]),
      notices.map(() => 'Auto-Submitted: auto-replied (vacation)'),
    )
    assert.ok(notices.length >= 2)
    // Each of these would have been answered if it did not say that it is automatic.
    assert.equal(mailsOf(office.maildirOf('away')).length, 4)
  } finally {
    await host.stop()
    await office.stop()
  }
})
