import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FakeAgent } from './fakes.ts'
import { Stage } from './virtual-hosts.ts'

const dayMs = 24 * 60 * 60 * 1_000
const minuteMs = 60_000

function repliesTo(stage: Stage, agent: FakeAgent): number {
  return stage.lettersTo(agent).filter(({ kind }) => kind === 'reply').length
}

const jumps = { 'a day ahead': dayMs, 'a day back': -dayMs, 'a year back': -365 * dayMs }

for (const [name, byMs] of Object.entries(jumps)) {
  test(`when the clock is set ${name}, and right again, everybody is answered and nobody twice`, async () => {
    const stage = await new Stage({ retryFirstMs: 2_000 }).start()
    const [ann, bob, cleo, dan] = ['ann', 'bob', 'cleo', 'dan'].map((who) => stage.agent(who))
    assert.ok(ann && bob && cleo && dan)
    const early = ann.mailRequest(stage.now)
    stage.deliver(early)
    await stage.settle()
    stage.sender.answer = () => ({ outcome: 'later', reason: 'busy' })
    stage.deliver(bob.mailRequest(stage.now))
    await stage.settle()
    stage.clock.jumpWall(byMs)
    stage.sender.answer = () => ({ outcome: 'sent' })
    await stage.pass(2 * minuteMs)
    // Waiting mails are sent although no new letter comes.
    assert.equal(repliesTo(stage, bob), 1)
    stage.deliver(early)
    const middle = cleo.mailRequest(stage.now)
    stage.deliver(middle)
    await stage.pass(minuteMs)
    assert.equal(repliesTo(stage, cleo), 1)
    stage.clock.jumpWall(-byMs)
    await stage.pass(minuteMs)
    for (const mail of [early, middle, dan.mailRequest(stage.now), ann.mailRequest(stage.now)])
      stage.deliver(mail)
    await stage.pass(minuteMs)
    assert.deepEqual(
      [ann, bob, cleo, dan].map((agent) => repliesTo(stage, agent)),
      [2, 1, 1, 1],
    )
    assert.equal(stage.mailbox.mails.length, 0)
    // Agents are still in the table and offered to others.
    const [offered] = stage
      .lettersTo(ann)
      .filter(({ kind }) => kind === 'reply')
      .slice(-1)
    assert.ok(offered?.kind === 'reply' && offered.peers.some(({ nickname }) => nickname === 'dan'))
    await stage.stop()
  })
}

test('a host whose clock is wrong drops letters as stale or from the future, and answers again once it is right', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann')
  const trueNow = stage.now
  for (const byMs of [365 * dayMs, -365 * dayMs]) {
    stage.clock.jumpWall(byMs)
    stage.deliver(ann.mailRequest(trueNow))
    await stage.settle()
    stage.clock.jumpWall(-byMs)
  }
  assert.deepEqual(stage.drops(), ['stale', 'from-the-future'])
  assert.equal(stage.sender.sent.length, 0)
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  assert.equal(repliesTo(stage, ann), 1)
  await stage.stop()
})
