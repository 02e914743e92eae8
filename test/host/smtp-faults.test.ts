// What happens to a reply when the SMTP server fails in any way, from the host's mailbox to the server's answer.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createSender } from '../../src/mail/open-mailbox.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { mailCount, queueIsEmpty } from '../bench/mail-files.ts'
import { deferIn } from '../harness/defer.ts'
import { type MailServers, startMailServers } from '../harness/mail-servers.ts'
import { TestMaildir } from '../harness/maildir.ts'
import { lacks } from '../harness/needs.ts'
import {
  type SinkAnswer,
  type SinkDoors,
  type SinkMail,
  type SinkVerdict,
  startSmtpSink,
} from '../harness/smtp-sink.ts'
import { waitUntil } from '../harness/wait-until.ts'
import { FakeAgent } from './fakes.ts'
import { planHostAt, planHostOn, type RunningHost, runHostAt, runHostOn } from './real-host/running-host.ts'

const skip = lacks('postfix', 'dovecot')

type Server = {
  readonly judge?: (mail: SinkMail) => SinkVerdict
  readonly doors?: SinkDoors
  /** `user:password@` before the server's name. */
  readonly login?: string
}

async function stage(context: TestContext, { judge, doors, login = '' }: Server) {
  const defer = deferIn(context)
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-smtp-faults-'))
  defer(() => rmSync(folder, { recursive: true }))
  const maildir = new TestMaildir(join(folder, 'mail'))
  const sink = await startSmtpSink(judge, doors)
  defer(() => sink.stop())
  const place = { receiveUrl: maildir.url, sendUrl: sink.url.replace('//', `//${login}`) }
  const host = await runHostOn(planHostOn(place, { retryFirstMs: 50, retryMaxMs: 100 }))
  defer(() => host.stop())
  return { host, sink, maildir }
}

function troublesOf({ events }: RunningHost) {
  return events.flatMap((event) => (event.event === 'trouble' ? [event.problem] : []))
}

const isReplySent = (event: RunningHost['events'][number]) => event.event === 'sent' && event.kind === 'reply'

/** `trouble`: the expected event when the server or our account is the problem. */
type ApiError = {
  readonly at: 'from' | 'to' | 'data' | 'end'
  readonly answer: SinkVerdict
  readonly trouble?: RegExp
}

const passing: Readonly<Record<string, ApiError>> = {
  '451 at MAIL': {
    at: 'from',
    answer: { code: 451, text: '4.3.0 Try again' },
    trouble: /takes no mails for now/,
  },
  '452 no storage at MAIL': {
    at: 'from',
    answer: { code: 452, text: '4.3.1 Insufficient system storage' },
    trouble: /takes no more mails from us for now/,
  },
  '552 our own mailbox full at MAIL': {
    at: 'from',
    answer: { code: 552, text: '5.2.2 Your mailbox is over quota' },
    trouble: /takes no more mails from us for now/,
  },
  '450 a rate at MAIL': {
    at: 'from',
    answer: { code: 450, text: '4.7.1 Error: too many mails from this account' },
    trouble: /takes no more mails from us for now/,
  },
  '553 at MAIL, the address is not ours': {
    at: 'from',
    answer: { code: 553, text: '5.7.1 Sender address rejected: not owned by user' },
    trouble: /takes no mails from our address.*not owned by user/,
  },
  '450 greylisting at RCPT': { at: 'to', answer: { code: 450, text: '4.7.1 Greylisted, see you later' } },
  '451 at RCPT': { at: 'to', answer: { code: 451, text: '4.3.0 Temporary lookup failure' } },
  '452 mailbox full at RCPT': { at: 'to', answer: { code: 452, text: '4.2.2 Mailbox full' } },
  '552 over quota at RCPT': { at: 'to', answer: { code: 552, text: '5.2.2 Over quota' } },
  '554 a policy at RCPT': { at: 'to', answer: { code: 554, text: '5.7.1 Relay access denied' } },
  '550 our daily quota at RCPT': {
    at: 'to',
    answer: { code: 550, text: '5.4.5 Daily user sending limit exceeded' },
    trouble: /takes no more mails from us for now.*Daily user sending limit/,
  },
  '421 closing at RCPT': {
    at: 'to',
    answer: { code: 421, text: '4.7.0 Closing connection' },
    trouble: /takes no mails for now/,
  },
  '451 at DATA': { at: 'data', answer: { code: 451, text: '4.3.0 Queue file write error' } },
  '554 at DATA': { at: 'data', answer: { code: 554, text: '5.5.1 No valid recipients' } },
  '451 at the end of data': { at: 'end', answer: { code: 451, text: '4.3.0 Try again' } },
  '452 mailbox full at the end of data': { at: 'end', answer: { code: 452, text: '4.2.2 Mailbox full' } },
  '554 taken for spam at the end of data': {
    at: 'end',
    answer: { code: 554, text: '5.7.1 Looks like spam' },
  },
  '550 our daily quota at the end of data': {
    at: 'end',
    answer: { code: 550, text: '5.4.5 Daily sending quota exceeded' },
    trouble: /takes no more mails from us for now.*Daily sending quota/,
  },
  '421 closing at the end of data': {
    at: 'end',
    answer: { code: 421, text: '4.3.2 Shutting down' },
    trouble: /takes no mails for now/,
  },
  'the connection lost after the data': { at: 'end', answer: 'hang up' },
}

for (const [name, { at, answer, trouble }] of Object.entries(passing)) {
  test(`${name}: the same bytes are sent until the server takes them, then never again, and no address is marked`, async (context) => {
    let failures = 3
    const fail = <T>(step: ApiError['at'], otherwise: T): SinkVerdict | T =>
      step === at && failures-- > 0 ? answer : otherwise
    const refuse = (step: ApiError['at']) => fail(step, null) as SinkAnswer | null
    const { host, sink, maildir } = await stage(context, {
      judge: () => fail('end', 'take'),
      doors: { from: () => refuse('from'), to: () => refuse('to'), data: () => refuse('data') },
    })
    const [ann, bob] = [host.agent('ann'), host.agent('bob')]
    maildir.deliver(ann.mailRequest(Date.now()))
    await host.until(isReplySent)
    assert.ok(host.events.some((event) => event.event === 'unsent' && event.outcome === 'later'))
    // An agent whose address is marked as unreachable would get nothing now.
    for (const agent of [bob, ann]) maildir.deliver(agent.mailRequest(Date.now()))
    await host.until(isReplySent, 3)
    await host.stop()
    const copies = new Map<string, Set<string>>()
    for (const text of [...sink.repliesTo(ann.address), ...sink.repliesTo(bob.address)]) {
      const id = /^Message-ID: (.+)$/m.exec(text)?.[1] ?? ''
      copies.set(id, (copies.get(id) ?? new Set()).add(text))
    }
    assert.equal(copies.size, 3)
    for (const texts of copies.values()) assert.equal(texts.size, 1)
    assert.equal(maildir.mails.length, 0)
    const lines = troublesOf(host).map(({ line }) => line)
    assert.equal(lines.length, trouble ? 1 : 0, lines.join('\n'))
    if (trouble) assert.match(lines[0] ?? '', trouble)
  })
}

test('a server that takes mails and loses the answer each time gets one copy an attempt, all with the same Message-ID', async (context) => {
  let lost = 4
  const { host, sink, maildir } = await stage(context, { judge: () => (lost-- > 0 ? 'hang up' : 'take') })
  const ann = host.agent('ann')
  maildir.deliver(ann.mailRequest(Date.now()))
  await host.until(isReplySent)
  await host.stop()
  const attempts = host.events.filter(({ event }) => event === 'unsent').length + 1
  assert.equal(sink.repliesTo(ann.address).length, attempts)
  assert.equal(attempts, 5)
  assert.equal(new Set(sink.repliesTo(ann.address)).size, 1)
})

test('only an address that is refused for good gets nothing for a while; a mail refused for its content marks no address', async (context) => {
  const answers: Readonly<Record<string, SinkAnswer>> = {
    'gone@mail.test': { code: 550, text: '5.1.1 User unknown' },
    'full@mail.test': { code: 552, text: '5.3.4 Message too big for system' },
  }
  const { host, sink, maildir } = await stage(context, { judge: ({ to }) => answers[to] ?? 'take' })
  const [gone, full, bob] = [host.agent('gone'), host.agent('full'), host.agent('bob')]
  const sendRequests = (...agents: FakeAgent[]) => {
    for (const agent of agents) maildir.deliver(agent.mailRequest(Date.now()))
  }
  const isRefused = (event: RunningHost['events'][number]) =>
    event.event === 'unsent' && event.kind === 'reply' && event.outcome === 'refused'
  sendRequests(gone, full)
  await host.until(isRefused, 2)
  sendRequests(gone, full, bob)
  await host.until(isReplySent)
  await host.until(isRefused, 3)
  await host.until((event) => event.event === 'letter' && event.outcome === 'dropped')
  await host.stop()
  assert.deepEqual(
    host.events.flatMap((event) => (event.event === 'letter' && 'reason' in event ? [event.reason] : [])),
    ['unreachable'],
  )
  const replies = [gone, full, bob].map(({ address }) => sink.repliesTo(address).length)
  assert.deepEqual(replies, [1, 2, 1])
  assert.deepEqual(troublesOf(host), [])
})

test('when the login fails all sending pauses, with one trouble event; when it works again each request is answered once', async (context) => {
  let isOpen = true
  let logins = 0
  const { host, sink, maildir } = await stage(context, {
    login: 'host:old@',
    doors: {
      login: () => {
        logins++
        return isOpen ? null : { code: 535, text: '5.7.8 Password has expired' }
      },
    },
  })
  isOpen = false
  const agents = Array.from({ length: 40 }, (_, index) => host.agent(`agent${index}`))
  for (const agent of agents) maildir.deliver(agent.mailRequest(Date.now()))
  await host.until((event) => event.event === 'letter', agents.length)
  // The first connection may still send some mails.
  const sent = sink.mails.length
  const before = logins
  await host.until(
    ({ event }) => event === 'unsent',
    host.events.filter(({ event }) => event === 'unsent').length + 10,
  )
  const tries = logins - before
  assert.ok(tries <= 25, `${tries} logins`)
  const [trouble, ...more] = troublesOf(host)
  assert.deepEqual(more, [])
  assert.equal(trouble?.code, 'mail-login')
  assert.match(
    trouble?.line ?? '',
    /does not let host in: .*Password has expired.*Check the user name and password/,
  )
  assert.ok(sent < agents.length)
  isOpen = true
  await host.until(isReplySent, agents.length)
  await host.stop()
  assert.deepEqual(new Set(agents.map(({ address }) => sink.repliesTo(address).length)), new Set([1]))
})

async function letIn(office: MailServers, agents: readonly FakeAgent[]): Promise<void> {
  const posting = createSender(office.smtpUrl('agents'), { clock: systemClock })
  for (const agent of agents) {
    const raw = new TextEncoder().encode(agent.mailRequest(Date.now()))
    const { outcome } = await posting.send({ from: agent.address, to: [office.address('host')], raw })
    assert.equal(outcome, 'sent')
  }
  await posting.close()
  await queueIsEmpty(office)
}

test('a host whose mailbox is full at the start empties it, and then gets letters again', {
  skip,
}, async (context) => {
  const defer = deferIn(context)
  const office = await startMailServers({ quotaBytes: 60_000 })
  defer(() => office.stop())
  const plan = planHostAt(office, 'host')
  const agents = Array.from(
    { length: 40 },
    (_, index) => new FakeAgent(`agent${index}`, plan.keys, plan.room),
  )
  await letIn(office, agents)
  const fitted = mailCount(office, 'host')
  assert.ok(fitted > 0 && fitted < agents.length, `${fitted} of ${agents.length} letters fitted`)
  const host = await runHostAt(office, plan)
  defer(() => host.stop())
  await host.until(isReplySent, fitted)
  await waitUntil(
    () => mailCount(office, 'host') === 0,
    () => JSON.stringify(host.events.slice(-5)),
    20_000,
  )
  const ann = host.agent('ann')
  await host.post(ann.address, office.address('host'), ann.mailRequest(Date.now()))
  await host.until(isReplySent, fitted + 1)
})

test('a reply to a full mailbox bounces and is not sent again, and other replies are sent', {
  skip,
}, async (context) => {
  const defer = deferIn(context)
  const office = await startMailServers({ quotaBytes: 60_000 })
  defer(() => office.stop())
  const host = await runHostAt(office, planHostAt(office, 'host'))
  defer(() => host.stop())
  const [ann, bob] = [host.agent('ann'), host.agent('bob')]
  office.maildirOf('ann')
  // Mails that do not fit bounce to a mailbox that this test does not use.
  for (const lines of [...Array<number>(7).fill(150), ...Array<number>(10).fill(10)]) {
    const text = `${'x'.repeat(70)}\r\n`.repeat(lines)
    await host.post(
      'poster@mail.test',
      ann.address,
      `From: <poster@mail.test>\r\nTo: <${ann.address}>\r\nSubject: x\r\n\r\n${text}`,
    )
  }
  await queueIsEmpty(office)
  const fillers = mailCount(office, 'ann')
  await host.post(ann.address, office.address('host'), ann.mailRequest(Date.now()))
  await host.until((event) => event.event === 'letter' && 'reason' in event && event.reason === 'bounce')
  for (const agent of [ann, bob])
    await host.post(agent.address, office.address('host'), agent.mailRequest(Date.now()))
  await host.until(isReplySent, 2)
  await host.until((event) => event.event === 'letter' && 'reason' in event && event.reason === 'unreachable')
  await queueIsEmpty(office)
  assert.equal(mailCount(office, 'ann'), fillers)
  assert.equal(mailCount(office, 'bob'), 1)
  assert.equal(mailCount(office, 'host'), 0)
})
