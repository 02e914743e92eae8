import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostSettings } from '../../src/host/host.ts'
import type { ReplyLetter } from '../../src/letter/letter-types.ts'
import { BlockedKeys } from '../../src/store/blocked-keys.ts'
import { openSharedDatabase } from '../../src/store/host-database.ts'
import type { FakeAgent } from './fakes.ts'
import { Stage } from './virtual-hosts.ts'

const hourMs = 3_600_000
const none = { perKey: 0, perAddress: 0, perDomain: 0 }

function limited(limits: Partial<HostSettings['limits']>): Promise<Stage> {
  return new Stage({ limits: { ...none, ...limits } }).start()
}

async function sendRequests(stage: Stage, ...agents: readonly FakeAgent[]): Promise<void> {
  for (const agent of agents) {
    stage.deliver(agent.mailRequest(stage.now))
    await stage.settle()
  }
}

function declines(stage: Stage, agent: FakeAgent): readonly ReplyLetter['decline'][] {
  return stage.lettersTo(agent).flatMap((letter) => (letter.kind === 'reply' ? [letter.decline] : []))
}

test('an agent that sends too many requests gets one reply that says when to try again, then nothing, and is answered at that time', async () => {
  const stage = await limited({ perKey: 3 })
  const ann = stage.agent('ann')
  await sendRequests(stage, ann, ann, ann, ann, ann, ann)
  const [first, second, third, decline, ...more] = declines(stage, ann)
  assert.deepEqual([first, second, third, more], [undefined, undefined, undefined, []])
  assert.ok(decline)
  assert.equal(decline.reason, 'too-often')
  assert.deepEqual(stage.drops(), ['too-often', 'too-often', 'too-often'])
  await stage.pass(decline.againInMs)
  await sendRequests(stage, ann)
  assert.equal(declines(stage, ann).at(-1), undefined)
  // The limit of one agent does not affect another.
  const bob = stage.agent('bob')
  await sendRequests(stage, bob)
  assert.deepEqual(declines(stage, bob), [undefined])
  await stage.stop()
})

test('a return address is limited whatever keys use it, and is declined once', async () => {
  const stage = await limited({ perAddress: 2 })
  const agents = ['ann', 'ann', 'ann', 'ann'].map((name) => stage.agent(name))
  await sendRequests(stage, ...agents)
  assert.deepEqual(stage.drops(), ['too-often', 'too-often'])
  assert.equal(stage.sender.sent.length, 3)
  await stage.stop()
})

test('a domain is limited whatever addresses of it are used', async () => {
  const stage = await limited({ perDomain: 2 })
  await sendRequests(stage, ...['ann', 'bob', 'cid'].map((name) => stage.agent(name)))
  assert.deepEqual(stage.drops(), ['too-often'])
  await stage.stop()
})

test('signals count, leave letters do not', async () => {
  const stage = await limited({ perKey: 2 })
  const [ann, bob] = [stage.agent('ann'), stage.agent('bob')]
  await sendRequests(stage, ann, bob)
  const signal = () => ({
    ...ann.head(stage.now),
    kind: 'signal' as const,
    room: stage.room.tag,
    peer: bob.id,
    box: new Uint8Array(9),
  })
  for (let times = 0; times < 3; times++) stage.deliver(ann.mail(signal()))
  await stage.settle()
  assert.deepEqual(stage.drops(), ['too-often', 'too-often'])
  stage.deliver(ann.mail({ ...ann.head(stage.now), kind: 'leave', room: stage.room.tag }))
  await stage.settle()
  assert.equal(stage.host.counters().entries, 1)
  await stage.stop()
})

test('strangers do not use up the limits of others', async () => {
  const stage = await limited({ perKey: 1, perAddress: 1, perDomain: 1 })
  const stranger = stage.agent('ann', undefined, { ...stage.room, proofKeyPair: stage.keys.identity })
  await sendRequests(stage, stranger, stranger)
  const ann = stage.agent('ann')
  await sendRequests(stage, ann)
  assert.deepEqual(stage.drops(), ['not-a-member', 'not-a-member'])
  assert.equal(stage.sender.sent.length, 1)
  await stage.stop()
})

test('an agent whose invite is over is declined once', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann', undefined, stage.invite({ until: stage.now }))
  await sendRequests(stage, ann, ann)
  assert.deepEqual(declines(stage, ann), [{ reason: 'invite-ended', againInMs: hourMs }])
  await stage.stop()
})

test('a mail that is read again after its request was declined is a copy', async () => {
  const stage = await limited({ perKey: 1 })
  const ann = stage.agent('ann')
  await sendRequests(stage, ann)
  const mail = ann.mailRequest(stage.now)
  stage.deliver(mail)
  await stage.settle()
  await stage.restart()
  stage.deliver(mail)
  await stage.settle()
  assert.deepEqual(stage.drops(), ['too-often', 'copy'])
  assert.equal(stage.sender.sent.length, 2)
  await stage.stop()
})

test('a key that is blocked while the host runs is removed at once and gets no answer, until it is unblocked', async () => {
  const stage = await new Stage().start()
  const [ann, bob] = [stage.agent('ann'), stage.agent('bob')]
  await sendRequests(stage, ann)
  const database = openSharedDatabase(stage.database)
  const blocked = new BlockedKeys(database)
  assert.deepEqual(blocked.usersNamed('ann'), [ann.id])
  assert.equal(blocked.add(ann.id, blocked.nameOf(ann.id), stage.now), true)
  assert.equal(stage.host.counters().entries, 0)
  await sendRequests(stage, ann, bob)
  assert.deepEqual(stage.drops(), ['blocked'])
  const [reply] = stage.lettersTo(bob)
  assert.deepEqual(reply?.kind === 'reply' && reply.peers, [])
  assert.deepEqual(
    blocked.list().map(({ name }) => name),
    ['ann'],
  )
  assert.equal(blocked.remove(ann.id), true)
  database.close()
  await sendRequests(stage, ann)
  assert.equal(stage.lettersTo(ann).length, 2)
  await stage.stop()
})
