// Outgoing letters.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readLetter } from '../../src/letter/mail-text.ts'
import type { OutgoingMail } from '../../src/mail/sender.ts'
import { headerOf, hostAddress, textOf } from '../host/fakes.ts'
import { agentAddress, InboxStage } from './inbox-stage.ts'

const later = { outcome: 'later', reason: '451 busy' } as const
const sent = { outcome: 'sent' } as const

/** Starts to send without waiting for the result. */
async function startSending(stage: InboxStage, kind: 'request' | 'failure' | 'leave') {
  const state: { isSent: boolean | null } = { isSent: null }
  void stage.inbox
    .send((host) => ({ ...stage.letter(kind), to: host.identity }))
    .then((isSent) => {
      state.isSent = isSent
    })
  await stage.pass(0)
  return state
}

function kindOf(stage: InboxStage, mail: OutgoingMail, host = stage.hostKeys): string {
  const opened = readLetter(stage.crypto, textOf(mail), {
    identity: host.identity.publicKey,
    keyPairs: [host.sealingKeys],
  })
  return opened.ok ? opened.letter.kind : opened.refusal
}

test('a letter goes to the host, sealed only for it, from our own address', async () => {
  const stage = await new InboxStage().open()
  const state = await startSending(stage, 'request')
  assert.equal(state.isSent, true)
  const [mail] = stage.sender.sent
  assert.ok(mail)
  assert.deepEqual(mail.to, [hostAddress])
  assert.equal(mail.from, agentAddress)
  assert.equal(headerOf(mail, 'Auto-Submitted'), 'auto-generated')
  assert.equal(kindOf(stage, mail), 'request')
  await stage.close()
})

test('a deferred mail is sent again with the same bytes after 2, 4, 8 s and finally every minute', async () => {
  const stage = await new InboxStage().open()
  const times: number[] = []
  stage.sender.answer = () => {
    times.push(stage.clock.now() / 1_000)
    return times.length < 9 ? later : sent
  }
  const state = await startSending(stage, 'request')
  await stage.pass(400_000)
  assert.deepEqual(times, [0, 2, 6, 14, 30, 62, 122, 182, 242])
  assert.equal(state.isSent, true)
  assert.equal(new Set(stage.sender.tried.map((mail) => textOf(mail))).size, 1)
  assert.equal(stage.unsent.length, 8)
  assert.equal(stage.unsent[0], 'request: 451 busy')
  await stage.close()
})

test('a mail refused for good emits an event and is not tried again', async () => {
  const stage = await new InboxStage().open()
  stage.answerWith({ outcome: 'refused', reason: '550 no such user', about: 'recipient' })
  const state = await startSending(stage, 'failure')
  assert.equal(state.isSent, false)
  await stage.pass(600_000)
  assert.equal(stage.sender.tried.length, 1)
  assert.deepEqual(stage.unsent, ['failure: 550 no such user'])
  await stage.close()
})

test('a newer request replaces one that is not sent yet, but failure letters are still sent', async () => {
  const stage = await new InboxStage().open()
  stage.answerWith(later)
  const first = await startSending(stage, 'request')
  const failure = await startSending(stage, 'failure')
  const second = await startSending(stage, 'request')
  assert.equal(first.isSent, false)
  stage.answerWith(sent)
  await stage.pass(60_000)
  assert.deepEqual([failure.isSent, second.isSent], [true, true])
  assert.deepEqual(stage.sender.sent.map((mail) => kindOf(stage, mail)).sort(), ['failure', 'request'])
  await stage.close()
})

test('after a leave letter nothing else is sent, so that the host does not create our entry again', async () => {
  const stage = await new InboxStage().open()
  stage.answerWith(later)
  await startSending(stage, 'request')
  await startSending(stage, 'failure')
  await startSending(stage, 'leave')
  stage.answerWith(sent)
  await stage.pass(600_000)
  assert.deepEqual(
    stage.sender.sent.map((mail) => kindOf(stage, mail)),
    ['leave'],
  )
  await stage.close()
})

test('at most 64 letters wait to be sent, and then the oldest is given up', async () => {
  const stage = await new InboxStage().open()
  stage.answerWith(later)
  const states = []
  for (let letter = 0; letter < 70; letter++) states.push(await startSending(stage, 'failure'))
  assert.deepEqual(
    states.map(({ isSent }) => isSent),
    states.map((_, index) => (index < 6 ? false : null)),
  )
  await stage.close()
})

test('closing while a letter is being sent or waits for a retry leaves no timer', async () => {
  const stage = await new InboxStage().open()
  stage.answerWith(later)
  const waiting = await startSending(stage, 'request')
  let answer = (_: typeof later) => {}
  stage.sender.answer = () => new Promise((resolve) => (answer = resolve))
  const beingSent = await startSending(stage, 'failure')
  await stage.close()
  answer(later)
  await stage.pass(0)
  assert.deepEqual([waiting.isSent, beingSent.isSent], [false, false])
  assert.equal(stage.clock.pendingTimers, 0)
  assert.equal(stage.unsent.length, 1, 'a failure after closing emits no event')
})

test('a letter that cannot be composed emits an event and has no other effect', async () => {
  const stage = await new InboxStage().open()
  const state = { isSent: true }
  const foreign = { ...stage.letter('request'), from: stage.hostKeys.identity.publicKey }
  void stage.inbox
    .send(() => foreign)
    .then((isSent) => {
      state.isSent = isSent
    })
  await stage.pass(0)
  assert.equal(state.isSent, false)
  assert.equal(stage.unsent.length, 1)
  await stage.close()
})

/** A stage with three hosts. */
async function severalHosts() {
  const stage = new InboxStage({ moreHosts: 2 })
  return { stage: await stage.open(), addresses: stage.hosts.map(({ address }) => address) }
}

test('a letter to several hosts is one mail to all, and each host finds its own letter in it', async () => {
  const { stage, addresses } = await severalHosts()
  const state = await startSending(stage, 'request')
  assert.equal(state.isSent, true)
  assert.deepEqual(
    stage.sender.sent.map(({ to }) => to),
    [addresses],
  )
  const [mail] = stage.sender.sent
  assert.ok(mail)
  assert.equal(headerOf(mail, 'To'), addresses.join(', '))
  for (const keys of stage.allHostKeys) assert.equal(kindOf(stage, mail, keys), 'request')
  await stage.close()
})

test('letters too long for one mail go in as few mails as possible', async () => {
  const { stage, addresses } = await severalHosts()
  void stage.inbox.send((host) => ({
    ...stage.signal(),
    from: stage.identity.publicKey,
    to: host.identity,
    box: stage.crypto.randomBytes(8_000),
  }))
  await stage.pass(0)
  assert.deepEqual(
    stage.sender.sent.map(({ to }) => to),
    [[addresses[0]], [addresses[1]], [addresses[2]]],
  )
  await stage.close()
})

test('a mail deferred for some hosts is sent again only to them, with the same bytes', async () => {
  const { stage, addresses } = await severalHosts()
  const [first, second, third] = addresses as [string, string, string]
  stage.answerWith({ outcome: 'partly', again: [second, third], reason: '451 busy' }, later, sent)
  const state = await startSending(stage, 'request')
  await stage.pass(10_000)
  assert.equal(state.isSent, true)
  assert.deepEqual(
    stage.sender.tried.map(({ to }) => to),
    [
      [first, second, third],
      [second, third],
      [second, third],
    ],
  )
  assert.equal(new Set(stage.sender.tried.map((mail) => textOf(mail))).size, 1)
  await stage.close()
})

test('a host refused for good emits one event, and the other hosts still get the letter', async () => {
  const { stage } = await severalHosts()
  stage.answerWith({ outcome: 'partly', again: [], reason: '550 no such user' })
  const state = await startSending(stage, 'request')
  await stage.pass(600_000)
  assert.equal(state.isSent, true)
  assert.equal(stage.sender.tried.length, 1)
  assert.deepEqual(stage.unsent, ['request: 550 no such user'])
  await stage.close()
})
