// Automatic mail is never answered, so two programs cannot keep each other busy. Bounces pause an address.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBounceToken } from '../../src/host/requests/bounce-token.ts'
import type { OutgoingMail } from '../../src/mail/sender.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { type FakeAgent, headerOf, hostAddress, subject, textOf } from './fakes.ts'
import { Stage } from './virtual-hosts.ts'

const minuteMs = 60_000

/** A bounce of a mail as Postfix writes it. */
function bounceOf(
  mail: OutgoingMail,
  changes: { readonly to?: string; readonly action?: string } = {},
): string {
  const { to = mail.to[0], action = 'failed' } = changes
  return [
    'Return-Path: <>',
    'From: MAILER-DAEMON@mail.test (Mail Delivery System)',
    `To: ${hostAddress}`,
    'Subject: Undelivered Mail Returned to Sender',
    'Auto-Submitted: auto-replied',
    'Content-Type: multipart/report; report-type=delivery-status; boundary="x"',
    '',
    '--x',
    'Content-Type: message/delivery-status',
    '',
    `Final-Recipient: rfc822; ${to}`,
    `Action: ${action}`,
    'Status: 5.1.1',
    '',
    '--x',
    'Content-Type: message/rfc822',
    '',
    textOf(mail),
    '--x--',
    '',
  ].join('\r\n')
}

function withHeader(mail: string, line: string): string {
  return `${line}\r\n${mail}`
}

const automatic: readonly string[] = [
  'Auto-Submitted: auto-replied',
  'Auto-Submitted: auto-notified',
  'Precedence: bulk',
  'Precedence: list',
  'List-Id: <games.mail.test>',
  'List-Unsubscribe: <mailto:leave@mail.test>',
  'Return-Path: <>',
  'X-Autoreply: yes',
  'Content-Type: multipart/report; report-type=disposition-notification; boundary=x',
]

for (const line of automatic) {
  test(`even a good request is not answered under "${line}"`, async () => {
    const stage = await new Stage().start()
    const ann = stage.agent('ann')
    stage.deliver(withHeader(ann.mailRequest(stage.now), line))
    await stage.settle()
    assert.deepEqual(stage.drops(), ['automatic'])
    assert.equal(stage.sender.tried.length, 0)
    await stage.stop()
  })
}

test('a request that says it was made by a program is answered', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  stage.deliver(withHeader(ann.mailRequest(stage.now), 'Auto-Submitted: auto-generated'))
  await stage.settle()
  assert.equal(stage.lettersTo(ann).length, 1)
  await stage.stop()
})

test('a request with the host’s own return address never makes the host write to itself', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  const request = ann.request(stage.now, { returnAddress: hostAddress })
  stage.deliver(ann.mail(request, { from: hostAddress }))
  await stage.settle()
  assert.deepEqual(stage.drops(), ['automatic'])
  assert.equal(stage.sender.tried.length, 0)
  await stage.stop()
})

/** The answer of a bad responder: the same subject, everything quoted, no field that says it is automatic. */
function rudeAnswer(mail: OutgoingMail): string {
  return [
    `From: ${mail.to[0]}`,
    `To: ${mail.from}`,
    `Subject: ${subject}`,
    '',
    'I am on holiday. You wrote:',
    ...textOf(mail)
      .split('\r\n')
      .map((line) => `> ${line}`),
  ].join('\r\n')
}

test('a responder that answers everything the host sends gets no answer and keeps nobody busy', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  stage.sender.answer = (mail) => {
    stage.deliver(rudeAnswer(mail))
    stage.deliver(withHeader(rudeAnswer(mail), 'Auto-Submitted: auto-replied'))
    stage.deliver(mail.raw)
    return { outcome: 'sent' }
  }
  stage.deliver(ann.mailRequest(stage.now))
  await stage.pass(10 * minuteMs)
  assert.equal(stage.sender.tried.length, 1)
  assert.deepEqual(stage.drops().toSorted(), ['automatic', 'automatic', 'wrong-key'])
  await stage.stop()
})

test('two hosts that get each other’s letters fall silent at once', async () => {
  const [one, two] = await Promise.all([new Stage().start(), new Stage().start()])
  one.sender.answer = (mail) => {
    two.deliver(mail.raw)
    two.deliver(rudeAnswer(mail))
    return { outcome: 'sent' }
  }
  two.sender.answer = (mail) => {
    one.deliver(mail.raw)
    return { outcome: 'sent' }
  }
  one.deliver(one.agent('ann').mailRequest(one.now))
  for (let minute = 0; minute < 5; minute++) {
    await one.pass(minuteMs)
    await two.pass(minuteMs)
  }
  assert.equal(one.sender.tried.length, 1)
  assert.equal(two.sender.tried.length, 0)
  assert.deepEqual(two.drops().toSorted(), ['automatic', 'wrong-key'])
  await one.stop()
  await two.stop()
})

/** Ann sent a request; the test can bounce her reply. */
async function bouncedStage(): Promise<{ stage: Stage; ann: FakeAgent; reply: OutgoingMail }> {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  const [reply] = stage.sender.sent
  assert.ok(reply)
  return { stage, ann, reply }
}

test('when a reply bounces its agent is flagged and gets no mail for a while', async () => {
  const { stage, ann, reply } = await bouncedStage()
  stage.deliver(bounceOf(reply))
  await stage.settle()
  assert.deepEqual(stage.drops(), ['bounce'])
  const bob = stage.agent('bobby')
  stage.deliver(bob.mailRequest(stage.now))
  await stage.pass(5_000)
  const [toBob] = stage.lettersTo(bob)
  assert.ok(toBob?.kind === 'reply' && toBob.peers[0]?.nickname === 'ann' && toBob.peers[0].flagged)
  stage.deliver(
    bob.mail({
      ...bob.head(stage.now),
      kind: 'signal',
      room: bob.room.tag,
      peer: ann.id,
      box: new Uint8Array(9),
    }),
  )
  stage.deliver(ann.mailRequest(stage.now))
  await stage.pass(5_000)
  assert.deepEqual(stage.drops(), ['bounce', 'unreachable', 'unreachable'])
  assert.equal(stage.lettersTo(ann).length, 1, 'no introduction, signal or reply after the bounce')
  await stage.pass(10 * minuteMs)
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  assert.equal(stage.lettersTo(ann).length, 2, 'after the pause it is tried again')
  await stage.stop()
})

test('a mail that the server refuses marks its address as a bounce does', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  stage.sender.answer = () => ({ outcome: 'refused', reason: '550 5.1.1 User unknown', about: 'recipient' })
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  assert.deepEqual(stage.drops(), ['unreachable'])
  await stage.stop()
})

test('a report that a mail is late or arrived marks no address', async () => {
  const { stage, ann, reply } = await bouncedStage()
  for (const action of ['delayed', 'delivered', 'relayed']) stage.deliver(bounceOf(reply, { action }))
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  assert.deepEqual(stage.drops(), ['bounce', 'bounce', 'bounce'])
  assert.equal(stage.lettersTo(ann).length, 2)
  await stage.stop()
})

test('a forged bounce marks no address: neither of a mail that we never sent, nor of one to somebody else', async () => {
  const { stage, ann, reply } = await bouncedStage()
  const bob = stage.agent('bobby')
  stage.deliver(bob.mailRequest(stage.now))
  await stage.settle()
  const forgedId = textOf(reply).replace(/^Message-ID: <[0-9a-f]{4}/m, 'Message-ID: <0000')
  const attempts = [
    bounceOf({ ...reply, raw: new TextEncoder().encode(forgedId) }),
    // Ann's own reply, presented as a bounced mail to Bobby.
    bounceOf(
      { ...reply, raw: new TextEncoder().encode(textOf(reply).replaceAll(ann.address, bob.address)) },
      { to: bob.address },
    ),
    bounceOf(reply).replace(/^Message-ID:.*\r\n/m, ''),
  ]
  for (const raw of attempts) stage.deliver(raw)
  await stage.settle()
  assert.deepEqual(stage.drops(), ['automatic', 'automatic', 'automatic'])
  for (const agent of [ann, bob]) stage.deliver(agent.mailRequest(stage.now))
  await stage.settle()
  assert.equal(stage.lettersTo(bob).filter(({ kind }) => kind === 'reply').length, 2)
  assert.equal(stage.lettersTo(ann).filter(({ kind }) => kind === 'reply').length, 2)
  await stage.stop()
})

test('a repeated bounce does not prolong the pause', async () => {
  const { stage, ann, reply } = await bouncedStage()
  for (let minute = 0; minute < 12; minute++) {
    stage.deliver(bounceOf(reply))
    await stage.pass(minuteMs)
  }
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  assert.equal(stage.lettersTo(ann).length, 2)
  await stage.stop()
})

test('only the host can read recipient and time from the Message-ID of its mail', async () => {
  const { stage, ann, reply } = await bouncedStage()
  const id = headerOf(reply, 'Message-ID') ?? ''
  assert.match(id, /^<[0-9a-f]{48}@mail\.test>$/)
  assert.equal(readBounceToken(realCrypto, new Uint8Array(32), id, ann.address), null)
  await stage.stop()
})
