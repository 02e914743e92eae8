import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headerOf, subject, textOf } from './fakes.ts'
import { Stage } from './virtual-hosts.ts'

test('the first requester gets an empty reply, the second gets the first, and the first is introduced to the second', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann', '198.51.100.1')
  const bob = stage.agent('bob', '198.51.100.2')
  const request = ann.request(stage.now)
  stage.deliver(ann.mail(request))
  await stage.settle()
  const [empty] = stage.lettersTo(ann)
  assert.equal(empty?.kind, 'reply')
  assert.deepEqual(empty.peers, [])
  assert.deepEqual(empty.sessionId, request.session.id)
  assert.equal(empty.expiresInMs, 12 * 3_600_000)

  await stage.pass(5_000)
  stage.deliver(bob.mailRequest(stage.now))
  await stage.settle()
  const [reply] = stage.lettersTo(bob)
  assert.equal(reply?.kind, 'reply')
  const [offered] = reply.peers
  assert.equal(reply.peers.length, 1)
  assert.deepEqual(offered?.id, ann.id)
  assert.deepEqual(offered?.session, request.session)
  assert.deepEqual(offered?.candidates, [ann.candidates[1]])
  assert.equal(offered?.sameNat, false)
  assert.equal(offered?.flagged, false)
  assert.ok(offered.ageMs >= 5_000 && offered.ageMs < 6_000)

  await stage.pass(300)
  await stage.settle()
  const introduction = stage.lettersTo(ann)[1]
  assert.equal(introduction?.kind, 'introduction')
  assert.deepEqual(introduction.sessionId, request.session.id)
  assert.deepEqual(
    introduction.peers.map(({ id, nickname }) => ({ id, nickname })),
    [{ id: bob.id, nickname: 'bob' }],
  )
  assert.equal(stage.sender.sent.length, 3)
  assert.deepEqual(stage.host.counters().letters, { 'request accepted': 2 })
  assert.deepEqual(stage.host.counters().mails, { 'reply sent': 2, 'introduction sent': 1 })
  await stage.stop()
})

test('a reply says that it is automatic and which mail it answers, and shows no mail address', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  const bob = stage.agent('bob')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  const request = bob.mailRequest(stage.now)
  stage.deliver(request)
  await stage.settle()
  const mail = stage.sender.sent.at(-1)
  assert.ok(mail)
  assert.equal(headerOf(mail, 'Subject'), subject)
  assert.match(headerOf(mail, 'Auto-Submitted') ?? '', /^auto-replied/)
  assert.equal(headerOf(mail, 'X-Auto-Response-Suppress'), 'All')
  const answered = /^Message-ID: (.*)\r$/m.exec(request)?.[1]
  assert.equal(headerOf(mail, 'In-Reply-To'), answered)
  assert.match(headerOf(mail, 'Message-ID') ?? '', /@mail\.test>$/)
  assert.ok(!textOf(mail).includes(ann.address))
  assert.ok(!JSON.stringify(stage.lettersTo(bob)).includes('@'))
  await stage.stop()
})

test('two agents behind one NAT get the same-NAT bit and the host candidates, in reply and introduction', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann', '203.0.113.9')
  const bob = stage.agent('bob', '203.0.113.9')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  stage.deliver(bob.mailRequest(stage.now))
  await stage.pass(500)
  await stage.settle()
  const letters = [stage.lettersTo(bob)[0], stage.lettersTo(ann)[1]]
  for (const letter of letters) {
    assert.ok(letter?.kind === 'reply' || letter?.kind === 'introduction')
    assert.equal(letter.peers[0]?.sameNat, true)
    assert.equal(letter.peers[0]?.candidates[0]?.kind, 'host')
  }
  await stage.stop()
})

test('a reply offers the most recent peers, latest first, up to the configured number', async () => {
  const stage = await new Stage({ replyPeers: 2 }).start()
  const names = ['ann', 'bob', 'cid', 'dot']
  const agents = names.map((name) => stage.agent(name))
  for (const agent of agents) {
    stage.deliver(agent.mailRequest(stage.now))
    await stage.settle()
    await stage.pass(1_000)
  }
  const dot = agents[3]
  assert.ok(dot)
  const [reply] = stage.lettersTo(dot)
  assert.equal(reply?.kind, 'reply')
  assert.deepEqual(
    reply.peers.map(({ nickname }) => nickname),
    ['cid', 'bob'],
  )
  await stage.stop()
})

test('requests that wait together get the same replies as requests that come one after the other', async () => {
  const stage = new Stage({ replyPeers: 3 })
  const names = ['ann', 'bob', 'cid', 'dot', 'eve', 'fay']
  const agents = names.map((name) => stage.agent(name))
  for (const agent of agents) stage.deliver(agent.mailRequest(stage.now))
  const [ann] = agents
  assert.ok(ann)
  stage.deliver(ann.mailRequest(stage.now + 1))
  stage.deliver(ann.mail({ ...ann.head(stage.now + 2), kind: 'leave', room: stage.room.tag }))
  const gus = stage.agent('gus')
  stage.deliver(gus.mailRequest(stage.now))
  await stage.start()
  const offered = [...agents, gus].map((agent) =>
    stage
      .lettersTo(agent)
      .flatMap((letter) =>
        letter.kind === 'reply' ? [letter.peers.map(({ nickname }) => nickname).join(' ')] : [],
      )
      .join(', '),
  )
  assert.deepEqual(offered, [
    ', fay eve dot',
    'ann',
    'bob ann',
    'cid bob ann',
    'dot cid bob',
    'eve dot cid',
    'fay eve dot',
  ])
  await stage.stop()
})

test('several requesters in a short time make one introduction', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  const others = ['bob', 'cid', 'dot'].map((name) => stage.agent(name))
  for (const other of others) stage.deliver(other.mailRequest(stage.now))
  await stage.pass(1_000)
  await stage.settle()
  const introductions = stage.lettersTo(ann).filter(({ kind }) => kind === 'introduction')
  assert.equal(introductions.length, 1)
  const [introduction] = introductions
  assert.ok(introduction?.kind === 'introduction')
  assert.deepEqual(introduction.peers.map(({ nickname }) => nickname).sort(), ['bob', 'cid', 'dot'])
  await stage.stop()
})

test('an agent gets no introduction of a peer that its own reply already offers', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  const bob = stage.agent('bob')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  stage.deliver(bob.mailRequest(stage.now))
  stage.deliver(ann.mailRequest(stage.now + 1))
  await stage.pass(1_000)
  await stage.settle()
  assert.deepEqual(
    stage.lettersTo(ann).map(({ kind }) => kind),
    ['reply', 'reply'],
  )
  assert.deepEqual(
    stage.lettersTo(bob).map(({ kind }) => kind),
    ['reply', 'introduction'],
  )
  await stage.stop()
})

test('an introduction that is due when the host stops is made after the restart', async () => {
  const stage = await new Stage({ introductionWindowMs: 60_000 }).start()
  const ann = stage.agent('ann')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  stage.deliver(stage.agent('bob').mailRequest(stage.now))
  await stage.settle()
  assert.equal(stage.host.counters().waitingIntroductions, 1)
  await stage.restart()
  await stage.pass(120_000)
  await stage.settle()
  assert.deepEqual(
    stage.lettersTo(ann).map(({ kind }) => kind),
    ['reply', 'introduction'],
  )
  await stage.stop()
})

test('a second request updates the entry of its agent, and an older one that comes late changes nothing', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  const earlier = ann.request(stage.now)
  const later = ann.request(stage.now + 10)
  stage.deliver(ann.mail(later))
  stage.deliver(ann.mail(earlier))
  await stage.settle()
  assert.equal(stage.sender.sent.length, 2)
  assert.equal(stage.host.counters().entries, 1)
  const bob = stage.agent('bob')
  stage.deliver(bob.mailRequest(stage.now))
  await stage.settle()
  const [reply] = stage.lettersTo(bob)
  assert.ok(reply?.kind === 'reply')
  assert.deepEqual(reply.peers[0]?.session, later.session)
  await stage.stop()
})

test('a failure notice flags the peer in later replies, until the peer sends another request', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  const bob = stage.agent('bob')
  const flagFor = async () => {
    stage.deliver(bob.mailRequest(stage.now))
    await stage.settle()
    const reply = stage.lettersTo(bob).at(-1)
    assert.ok(reply?.kind === 'reply')
    return reply.peers.find(({ nickname }) => nickname === 'ann')?.flagged
  }
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  assert.equal(await flagFor(), false)
  stage.deliver(
    bob.mail({
      ...bob.head(stage.now),
      kind: 'failure',
      room: stage.room.tag,
      peer: ann.id,
      reason: 'no-answer',
    }),
  )
  await stage.settle()
  assert.equal(await flagFor(), true)
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  assert.equal(await flagFor(), false)
  await stage.stop()
})

test('a leave letter removes the entry of its agent, unless the entry is newer', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  const leave = { ...ann.head(stage.now), kind: 'leave', room: stage.room.tag } as const
  const older = { ...ann.head(stage.now - 5_000), kind: 'leave', room: stage.room.tag } as const
  stage.deliver(ann.mail(older))
  await stage.settle()
  assert.equal(stage.host.counters().entries, 1)
  stage.deliver(ann.mail(leave))
  await stage.settle()
  assert.equal(stage.host.counters().entries, 0)
  await stage.stop()
})

test('a signal is relayed unread to the peer it names', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  const bob = stage.agent('bob')
  stage.deliver(ann.mailRequest(stage.now))
  stage.deliver(bob.mailRequest(stage.now))
  await stage.settle()
  const box = Uint8Array.from({ length: 300 }, (_, at) => at & 255)
  stage.deliver(bob.mail({ ...bob.head(stage.now), kind: 'signal', room: stage.room.tag, peer: ann.id, box }))
  await stage.settle()
  const signal = stage.lettersTo(ann).find(({ kind }) => kind === 'signal')
  assert.ok(signal?.kind === 'signal')
  assert.deepEqual(signal.peer, bob.id)
  assert.deepEqual(signal.box, box)
  assert.deepEqual(signal.room, stage.room.tag)
  await stage.stop()
})

test('the table keeps to its capacity, and an entry expires without further requests', async () => {
  const stage = await new Stage({ capacity: 2, expiryMs: 60_000 }).start()
  for (const name of ['ann', 'bob', 'cid']) {
    stage.deliver(stage.agent(name).mailRequest(stage.now))
    await stage.settle()
  }
  assert.equal(stage.host.counters().entries, 2)
  const dot = stage.agent('dot')
  stage.deliver(dot.mailRequest(stage.now))
  await stage.settle()
  const [reply] = stage.lettersTo(dot)
  assert.ok(reply?.kind === 'reply')
  assert.deepEqual(
    reply.peers.map(({ nickname }) => nickname),
    ['cid', 'bob'],
  )
  await stage.pass(70_000)
  assert.equal(stage.host.counters().entries, 0)
  await stage.stop()
})

test('the mailbox is scanned also when its wake-ups are lost', async () => {
  const stage = await new Stage({ sweepMs: 30_000 }).start()
  stage.mailbox.isSilent = true
  const ann = stage.agent('ann')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.pass(31_000)
  await stage.settle()
  assert.equal(stage.lettersTo(ann).length, 1)
  await stage.stop()
})
