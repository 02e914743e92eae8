// The day's sending budget of a host, on virtual time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostSettings } from '../../src/host/host.ts'
import type { FakeAgent } from './fakes.ts'
import { Stage } from './virtual-hosts.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** Cleanup and sweeps are rare, because the tests last for days. */
function budgeted(perDay: number, settings: Partial<HostSettings> = {}): Promise<Stage> {
  return new Stage({ perDay, cleanupMs: hourMs / 2, sweepMs: hourMs / 2, ...settings }).start()
}

async function sendRequests(stage: Stage, ...agents: readonly FakeAgent[]): Promise<void> {
  for (const agent of agents) {
    stage.deliver(agent.mailRequest(stage.now))
    await stage.settle()
    // Gives the host time to mark sent mails and to make introductions.
    await stage.pass(1_000)
  }
}

function agents(stage: Stage, count: number): readonly FakeAgent[] {
  return Array.from({ length: count }, (_, index) => stage.agent(`agent${index}`))
}

function states(stage: Stage): readonly string[] {
  return stage.events.flatMap((event) => (event.event === 'budget' ? [event.state] : []))
}

function sentKinds(stage: Stage): string {
  return stage.events.flatMap((event) => (event.event === 'sent' ? [event.kind[0]] : [])).join('')
}

test('introductions stop at three quarters of the day’s budget, replies wait when it is used up, and each event is emitted once', async () => {
  const stage = await budgeted(8)
  await sendRequests(stage, ...agents(stage, 7))
  // The first reply is empty. The second agent is introduced to the first, and so on.
  assert.equal(sentKinds(stage).slice(0, 6).includes('i'), true)
  assert.equal(sentKinds(stage).slice(6), 'rr')
  assert.equal(stage.sender.sent.length, 8)
  assert.deepEqual(states(stage), ['replies-only', 'used-up'])
  assert.equal(stage.host.counters().sentInDay, 8)
  assert.ok(stage.host.counters().waitingMails > 0)
  await stage.stop()
})

test('the budget survives a restart, and waiting mails are sent when a day has passed', async () => {
  const stage = await budgeted(4)
  const all = agents(stage, 3)
  await sendRequests(stage, ...all.slice(0, 2), ...all.slice(0, 2))
  assert.equal(stage.sender.sent.length, 4)
  await stage.pass(20 * hourMs)
  await sendRequests(stage, ...all.slice(2))
  assert.equal(stage.sender.sent.length, 4)
  await stage.restart()
  assert.deepEqual(states(stage).slice(-1), ['used-up'])
  assert.equal(stage.host.counters().sentInDay, 4)
  assert.equal(stage.sender.sent.length, 4)
  const [late] = all.slice(2)
  assert.ok(late)
  await stage.pass(3.9 * hourMs)
  assert.equal(stage.lettersTo(late).length, 0)
  await stage.pass(1.2 * hourMs)
  assert.equal(stage.lettersTo(late).length, 1)
  assert.equal(states(stage).at(-1), 'ample')
  await stage.pass(dayMs)
  assert.equal(stage.lettersTo(late).length, 1)
  await stage.stop()
})

test('while replies wait, a newer reply to an agent replaces the older one', async () => {
  const stage = await budgeted(1)
  const [ann, bob] = [stage.agent('ann'), stage.agent('bob')]
  await sendRequests(stage, ann)
  await stage.pass(14 * hourMs)
  await sendRequests(stage, bob, bob, ann, bob)
  assert.equal(stage.sender.sent.length, 1)
  assert.equal(stage.host.counters().waitingMails, 2)
  // Bob’s reply keeps its place before Ann’s, and only the key of his last request opens it.
  bob.sessions.splice(0, bob.sessions.length - 1)
  await stage.pass(12 * hourMs)
  assert.deepEqual(
    stage.lettersTo(bob).map(({ kind }) => kind),
    ['reply'],
  )
  await stage.stop()
})

test('mails that are refused use up nothing', async () => {
  const stage = await budgeted(2)
  stage.sender.answer = () => ({ outcome: 'refused', reason: '550 no such user', about: 'recipient' })
  await sendRequests(stage, ...agents(stage, 3))
  assert.equal(stage.host.counters().sentInDay, 0)
  assert.deepEqual(states(stage), [])
  await stage.stop()
})
