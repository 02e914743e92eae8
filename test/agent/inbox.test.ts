// Incoming letters: only answers of the host to our own requests have an effect (A11).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { armorLetter } from '../../src/letter/armor.ts'
import type { Letter } from '../../src/letter/letter-types.ts'
import { signLetter } from '../../src/letter/signature.ts'
import { mailText } from '../host/fakes.ts'
import { agentAddress, InboxStage } from './inbox-stage.ts'

const hourMs = 3_600_000

test('a reply and an introduction of the host are emitted once and removed', async () => {
  const stage = await new InboxStage().open()
  const [reply, introduction] = [stage.reply(), stage.introduction()]
  await stage.deliver(stage.mail(reply), stage.mail(introduction))
  assert.deepEqual(
    stage.replies.map(({ id }) => id),
    [reply.id],
  )
  assert.deepEqual(
    stage.introductions.map(({ id }) => id),
    [introduction.id],
  )
  assert.deepEqual(stage.dropped, [])
  assert.equal(stage.mailbox.mails.length, 0)
  await stage.close()
})

/** Forged mails, each with the reason under which it is counted. */
const forgeries: Readonly<Record<string, (stage: InboxStage) => readonly [string, string]>> = {
  'signed by a sender that is no host': (stage) => {
    const forger = stage.crypto.signKeyPair()
    const letter = stage.reply({ from: forger.publicKey })
    return [stage.mail(letter, stage.session.publicKey, forger), 'unknown-sender']
  },
  'that names the host but has another’s signature': (stage) => {
    const forger = { ...stage.hostKeys.identity, secretKey: stage.crypto.signKeyPair().secretKey }
    return [sealedBy(stage, stage.reply(), forger), 'unsigned']
  },
  'with another session ID': (stage) => [
    stage.mail(stage.reply({ sessionId: stage.crypto.randomBytes(16) })),
    'wrong-session',
  ],
  'sealed to another of our sessions than it names': (stage) => [
    stage.mail(stage.reply(), stage.sessions.create().publicKey),
    'wrong-session',
  ],
  'signed for another agent': (stage) => [
    stage.mail(stage.reply({ to: stage.crypto.signKeyPair().publicKey })),
    'misdirected',
  ],
  'mangled on its way': (stage) => {
    const mail = stage.mail(stage.reply())
    const at = mail.indexOf('\r\n\r\n') + 600
    const other = mail[at] === 'a' ? 'b' : 'a'
    return [mail.slice(0, at) + other + mail.slice(at + 1), 'mangled']
  },
  'without a letter in it': (stage) => [stage.mailOf('Hello, what is this?\n'), 'no-letter'],
  'with two From fields': (stage) => [
    stage.mail(stage.reply()).replace('To:', 'From: <eve@mail.test>\r\nTo:'),
    'bad-mail',
  ],
  'that is our own request sent back': (stage) => {
    const letter = { ...stage.letter('request'), to: stage.identity.publicKey }
    return [stage.mail(letter, stage.session.publicKey, stage.identity), 'unknown-sender']
  },
  'that is a signal of another room': (stage) => [
    stage.mail(stage.signal({ room: stage.crypto.randomBytes(32) })),
    'other-room',
  ],
  'of a kind that no host sends': (stage) => {
    const letter: Letter = {
      ...stage.letter('leave'),
      from: stage.host.identity,
      to: stage.identity.publicKey,
    }
    return [stage.mail(letter), 'unexpected-kind']
  },
}

function sealedBy(stage: InboxStage, letter: Letter, signer: typeof stage.identity): string {
  const signed = stage.crypto.pad(signLetter(stage.crypto, letter, signer), 1024)
  return stage.mailOf(armorLetter(stage.crypto, stage.crypto.seal(signed, stage.session.publicKey)))
}

for (const [what, forge] of Object.entries(forgeries)) {
  test(`a mail ${what} has no effect, is counted, removed and never answered`, async () => {
    const stage = await new InboxStage().open()
    const [mail, reason] = forge(stage)
    await stage.deliver(mail)
    assert.deepEqual(stage.dropped, [reason])
    assert.deepEqual([...stage.replies, ...stage.introductions, ...stage.signals], [])
    assert.equal(stage.mailbox.mails.length, 0)
    assert.deepEqual(stage.sender.tried, [])
    await stage.deliver(stage.mail(stage.reply()))
    assert.equal(stage.replies.length, 1, 'the genuine letter still has its effect')
    await stage.close()
  })
}

test('a copy of a letter, in the same mail or another, has no second effect', async () => {
  const stage = await new InboxStage().open()
  const reply = stage.reply()
  const mail = stage.mail(reply)
  await stage.deliver(mail, mail)
  await stage.deliver(stage.mail(reply))
  assert.equal(stage.replies.length, 1)
  assert.deepEqual(stage.dropped, ['copy', 'copy'])
  await stage.close()
})

test('a signal that the host relays is emitted once, unopened', async () => {
  const stage = await new InboxStage().open()
  const signal = stage.signal()
  const mail = stage.mail(signal)
  await stage.deliver(mail, mail)
  assert.deepEqual(stage.signals, [signal])
  assert.deepEqual(stage.dropped, ['copy'])
  assert.equal(stage.mailbox.mails.length, 0)
  await stage.close()
})

test('a mail larger than any letter is removed without parsing', async () => {
  const stage = await new InboxStage().open()
  stage.mailbox.deliver(null)
  await stage.pass(0)
  assert.deepEqual(stage.dropped, ['too-big'])
  assert.equal(stage.mailbox.mails.length, 0)
  await stage.close()
})

test('letters for other agents are kept for an hour, fetched once, and do not block ours', async () => {
  const stage = await new InboxStage().open()
  const others = Array.from({ length: 150 }, () =>
    stage.mail(stage.reply(), stage.crypto.boxKeyPair().publicKey),
  )
  await stage.deliver(...others, stage.mail(stage.reply()))
  assert.equal(stage.replies.length, 1)
  assert.equal(stage.mailbox.mails.length, 150)
  assert.deepEqual(stage.dropped, [])
  const { removals } = stage.mailbox
  await stage.pass(hourMs - 120_000)
  assert.equal(stage.mailbox.mails.length, 150)
  assert.equal(stage.mailbox.removals, removals)
  await stage.pass(240_000)
  assert.equal(stage.mailbox.mails.length, 0)
  assert.deepEqual(new Set(stage.dropped), new Set(['wrong-key']))
  await stage.close()
})

test('an old letter for another agent is removed', async () => {
  const stage = await new InboxStage().open()
  const old = stage.mail(stage.reply(), stage.crypto.boxKeyPair().publicKey)
  await stage.pass(13 * hourMs)
  await stage.deliver(old)
  assert.deepEqual(stage.dropped, ['wrong-key'])
  await stage.close()
})

test('a letter without a Date for another agent is kept like any other', async () => {
  const stage = await new InboxStage().open()
  const mail = stage.mail(stage.reply(), stage.crypto.boxKeyPair().publicKey)
  await stage.deliver(mail.replace(/^Date:.*\r\n/m, ''))
  assert.equal(stage.mailbox.mails.length, 1)
  await stage.close()
})

test('a failed mailbox is fetched again after 5 s, and mails without a wake-up are found by the sweep', async () => {
  const stage = await new InboxStage().open()
  stage.mailbox.state = 'failing'
  await stage.deliver(stage.mail(stage.reply()))
  await stage.pass(20_000)
  assert.equal(stage.replies.length, 0)
  stage.mailbox.state = 'fine'
  await stage.pass(5_000)
  assert.equal(stage.replies.length, 1)

  const quiet = new TextEncoder().encode(stage.mail(stage.reply()))
  stage.mailbox.mails.push({ ref: 'unhinted', raw: quiet, sizeBytes: quiet.length })
  await stage.pass(60_000)
  assert.equal(stage.replies.length, 2)
  await stage.close()
})

test('a letter whose removal fails is not emitted again', async () => {
  const stage = await new InboxStage().open()
  const { mailbox } = stage
  const remove = mailbox.remove.bind(mailbox)
  mailbox.remove = () => Promise.reject(new Error('the line is gone'))
  await stage.deliver(stage.mail(stage.reply()))
  mailbox.remove = remove
  await stage.pass(10_000)
  assert.equal(stage.replies.length, 1)
  assert.deepEqual(stage.dropped, ['copy'])
  assert.equal(mailbox.mails.length, 0)
  await stage.close()
})

test('a letter that breaks our own code does not block the others', async () => {
  const stage = new InboxStage({
    onReply: (letter) => {
      if (letter.expiresInMs === 13) throw new Error('oh no')
    },
  })
  await stage.open()
  await stage.deliver(stage.mail(stage.reply({ expiresInMs: 13 })), stage.mail(stage.reply()))
  assert.equal(stage.replies.length, 2)
  assert.deepEqual(stage.dropped, ['malformed'])
  assert.equal(stage.mailbox.mails.length, 0)
  await stage.close()
})

test('closing waits for a letter being handled, but not for a mailbox that never answers', async () => {
  const stage = await new InboxStage().open()
  stage.mailbox.deliver(stage.mail(stage.reply()))
  await stage.close()
  assert.equal(stage.clock.pendingTimers, 0)
  assert.equal(stage.mailbox.closed, 1)

  const other = await new InboxStage().open()
  other.mailbox.state = 'silent'
  other.mailbox.deliver(other.mail(other.reply()))
  const before = other.clock.now()
  await other.close()
  assert.ok(other.clock.now() - before <= 1_000)
  assert.equal(other.mailbox.closed, 1)
  assert.equal(other.clock.pendingTimers, 0)
})

test('after closing, nothing is read or emitted and no timer runs', async () => {
  const stage = await new InboxStage().open()
  await stage.close()
  stage.mailbox.deliver(mailText({ from: 'x@mail.test', to: agentAddress, text: 'hello\n', dateMs: 0 }))
  stage.mailbox.wake()
  await stage.pass(hourMs)
  assert.deepEqual(stage.dropped, [])
  assert.equal(stage.mailbox.mails.length, 1)
  assert.equal(await stage.inbox.send(() => stage.letter('leave')), false)
  assert.deepEqual(stage.sender.tried, [])
  assert.equal(stage.clock.pendingTimers, 0)
})
