import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostEvent } from '../../src/host/host.ts'
import { readLetter, writeLetter } from '../../src/letter/mail-text.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { FakeAgent as Agent, type FakeAgent, mailText, makeHostKeys, makeRoom } from './fakes.ts'
import { Stage } from './virtual-hosts.ts'

const hourMs = 3_600_000

/** For each: what is put in the mailbox, and the one reason for which it must be dropped. */
const bad: readonly [string, string, (stage: Stage, ann: FakeAgent) => string | Uint8Array | null][] = [
  [
    'a letter signed too long ago',
    'stale',
    (stage, ann) => ann.mail(ann.request(stage.now - 12 * hourMs - 1), { dateMs: stage.now }),
  ],
  [
    'a mail with an old Date',
    'stale',
    (stage, ann) => ann.mail(ann.request(stage.now), { dateMs: stage.now - 13 * hourMs }),
  ],
  [
    'a letter from the future',
    'from-the-future',
    (stage, ann) => ann.mail(ann.request(stage.now + hourMs + 60_000), { dateMs: stage.now }),
  ],
  [
    'a mail with a Date in the future',
    'from-the-future',
    (stage, ann) => ann.mail(ann.request(stage.now), { dateMs: stage.now + 2 * hourMs }),
  ],
  ['a mail larger than any letter', 'too-big', () => null],
  [
    'a mail without a letter',
    'no-letter',
    (stage) => mailText({ from: 'ann@mail.test', text: 'Hello!\n', dateMs: stage.now }),
  ],
  [
    'a mangled letter',
    'mangled',
    (stage, ann) => ann.mailRequest(stage.now).replace(/^[a-z2-7]{64}\r\n/m, ''),
  ],
  [
    'two letters in one mail',
    'several-letters',
    (stage, ann) => {
      const mail = ann.mailRequest(stage.now)
      return mail + mail.slice(mail.indexOf('\r\n\r\n'))
    },
  ],
  [
    'a letter sealed for another host',
    'wrong-key',
    (stage, ann) =>
      new Agent('ann', { ...stage.keys, sealingKeys: makeHostKeys().sealingKeys }, ann.room).mailRequest(
        stage.now,
      ),
  ],
  [
    'a letter that was meant for another host and forwarded to this one',
    'misdirected',
    (stage, ann) => ann.mail(ann.request(stage.now, { to: makeHostKeys().identity.publicKey })),
  ],
  [
    'a letter from another return address',
    'wrong-return-address',
    (stage, ann) => ann.mail(ann.request(stage.now), { from: 'victim@mail.test' }),
  ],
  [
    'a request for a room that is not here',
    'not-a-member',
    (stage) => new Agent('ann', stage.keys, makeRoom()).mailRequest(stage.now),
  ],
  [
    'a request without the secret of the room',
    'not-a-member',
    (stage, ann) => new Agent('ann', stage.keys, { ...makeRoom(), tag: ann.room.tag }).mailRequest(stage.now),
  ],
  [
    'a proof of another request',
    'not-a-member',
    (stage, ann) => ann.mail(ann.request(stage.now, { proof: ann.request(stage.now).proof })),
  ],
  [
    'a kind that only hosts send',
    'unexpected-kind',
    (stage, ann) =>
      ann.mail({
        ...ann.head(stage.now),
        kind: 'reply',
        sessionId: new Uint8Array(16),
        expiresInMs: 1,
        peers: [],
      }),
  ],
  [
    'a table of a host that this one does not know',
    'unknown-host',
    (stage, ann) => ann.mail({ ...ann.head(stage.now), kind: 'table', statements: [], introduce: [] }),
  ],
  [
    'a table request of a host that this one does not know',
    'unknown-host',
    (stage, ann) => ann.mail({ ...ann.head(stage.now), kind: 'table-request', comparison: { newest: true } }),
  ],
  [
    'a signal that an unknown host relays',
    'unknown-host',
    (stage, ann) =>
      ann.mail({
        ...ann.head(stage.now),
        kind: 'signal',
        room: ann.room.tag,
        peer: ann.id,
        box: new Uint8Array(300),
        relay: { origin: ann.id, hopsLeft: 3 },
      }),
  ],
  [
    'a failure notice of a stranger',
    'unknown-sender',
    (stage, ann) =>
      ann.mail({ ...ann.head(stage.now), kind: 'failure', room: ann.room.tag, peer: ann.id, reason: 'lost' }),
  ],
  [
    'a leave letter of a stranger',
    'unknown-sender',
    (stage, ann) => ann.mail({ ...ann.head(stage.now), kind: 'leave', room: ann.room.tag }),
  ],
  [
    'a mail with two From fields',
    'bad-mail',
    (stage, ann) => `From: <other@mail.test>\r\n${ann.mailRequest(stage.now)}`,
  ],
]

for (const [name, reason, make] of bad) {
  test(`${name} is dropped as ${reason}, and gets no answer`, async () => {
    const stage = await new Stage().start()
    stage.deliver(make(stage, stage.agent('ann')))
    await stage.settle()
    assert.deepEqual(stage.drops(), [reason])
    assert.equal(stage.sender.tried.length, 0)
    assert.equal(stage.mailbox.mails.length, 0)
    assert.equal(stage.host.counters().entries, 0)
    await stage.stop()
  })
}

test('a request with the return address of somebody else causes no mail, neither there nor to its sender', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  const named = ann.request(stage.now, { returnAddress: 'victim@elsewhere.test' })
  stage.deliver(ann.mail(named, { from: ann.address }))
  stage.deliver(ann.mail(ann.request(stage.now), { from: 'victim@elsewhere.test' }))
  await stage.settle()
  assert.deepEqual(stage.drops(), ['wrong-return-address', 'wrong-return-address'])
  assert.equal(stage.sender.tried.length, 0)
  // The same request from its own return address is answered, so this was the reason.
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  assert.deepEqual(
    stage.sender.sent.map(({ to }) => to),
    [[ann.address]],
  )
  await stage.stop()
})

test('a letter whose signature is not by its sender is dropped as unsigned', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  // `writeLetter` refuses this, so the test gives it a key pair with another secret key.
  const forger = { publicKey: ann.id, secretKey: realCrypto.signKeyPair().secretKey }
  const text = writeLetter(realCrypto, ann.request(stage.now), {
    identity: forger,
    recipientKey: stage.keys.sealingKeys.publicKey,
  })
  assert.ok(
    !readLetter(realCrypto, text, {
      identity: stage.keys.identity.publicKey,
      keyPairs: [stage.keys.sealingKeys],
    }).ok,
  )
  stage.deliver(mailText({ from: ann.address, text, dateMs: stage.now }))
  await stage.settle()
  assert.deepEqual(stage.drops(), ['unsigned'])
  assert.equal(stage.sender.tried.length, 0)
  await stage.stop()
})

test('a second copy of a letter is dropped as a copy, also after a restart and in another mail', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  const letter = ann.request(stage.now)
  stage.deliver(ann.mail(letter))
  stage.deliver(ann.mail(letter))
  await stage.settle()
  await stage.restart()
  stage.deliver(ann.mail(letter))
  await stage.settle()
  assert.deepEqual(stage.drops(), ['copy', 'copy'])
  assert.equal(stage.sender.sent.length, 1)
  await stage.stop()
})

test('a copy is never accepted, even when its ID was forgotten and the clock is set back', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  const letter = ann.request(stage.now)
  stage.deliver(ann.mail(letter))
  await stage.settle()
  stage.clock.jumpWall(48 * hourMs)
  await stage.pass(10_000)
  assert.equal(stage.host.counters().seenLetters, 0)
  stage.clock.jumpWall(-48 * hourMs)
  stage.deliver(ann.mail(letter))
  await stage.settle()
  assert.deepEqual(stage.drops(), ['stale'])
  assert.equal(stage.sender.sent.length, 1)
  await stage.stop()
})

test('a letter that names a peer without an entry is dropped as unknown-peer', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  const room = stage.room.tag
  const stranger = realCrypto.signKeyPair().publicKey
  stage.deliver(
    ann.mail({ ...ann.head(stage.now), kind: 'signal', room, peer: stranger, box: new Uint8Array(9) }),
  )
  stage.deliver(ann.mail({ ...ann.head(stage.now), kind: 'failure', room, peer: stranger, reason: 'lost' }))
  stage.deliver(ann.mail({ ...ann.head(stage.now), kind: 'failure', room, peer: ann.id, reason: 'lost' }))
  await stage.settle()
  assert.deepEqual(stage.drops(), ['unknown-peer', 'unknown-peer', 'unknown-peer'])
  await stage.stop()
})

test('a bad letter does not delay the others', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  stage.deliver('garbage')
  stage.deliver(ann.mailRequest(stage.now))
  stage.deliver(new Uint8Array([0, 255, 10, 13]))
  await stage.settle()
  assert.equal(stage.lettersTo(ann).length, 1)
  const accepted = (event: HostEvent) => event.event === 'letter' && event.outcome === 'accepted'
  assert.equal(stage.events.filter(accepted).length, 1)
  await stage.stop()
})
