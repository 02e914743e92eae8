// Agents whose computer clock is changed while they run, or is wrong at the start. The clock of the host is right.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inWorld, type Player, type World } from '../harness/world.ts'
import { InboxStage } from './inbox-stage.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

const jumps = {
  'a day ahead': dayMs,
  'half an hour back': -hourMs / 2,
  'a day back': -dayMs,
  'a year back': -365 * dayMs,
}

/** A new player connects to anna with the candidates that the host knows now. */
async function newcomerConnects(world: World, anna: Player, name: string): Promise<void> {
  const newcomer = world.player(name)
  await world.join(newcomer)
  await world.until(`${name} meets anna`, () => world.areLinked(anna, newcomer), 60_000)
}

for (const [name, byMs] of Object.entries(jumps)) {
  test(`when the clock is set ${name}, and right again, links go on, requests are answered and newcomers met`, async () => {
    await inWorld({ seed: 41 }, async (world) => {
      const [anna, ben] = [world.player('anna'), world.player('ben')]
      await world.join(anna, ben)
      await world.until('they meet', () => world.areLinked(anna, ben))
      await world.pass(60_000)
      for (const [step, offsetMs] of [byMs, 0].entries()) {
        anna.clearEvents()
        anna.wallOffsetMs = offsetMs
        anna.agent.requestSoon()
        await world.until('anna is answered', () => anna.emitted('replied').length > 0, 15 * 60_000)
        await newcomerConnects(world, anna, `newcomer${step}`)
        await world.pass(10 * 60_000)
        assert.deepEqual(anna.emitted('disconnected'), [])
        const { length } = anna.emitted('requested')
        assert.ok(length >= 1 && length <= 8, `${length} requests`)
      }
      assert.ok(world.areLinked(...world.players.filter((player) => player === anna || player === ben)))
    })
  })
}

for (const [name, byMs] of Object.entries({ 'a day fast': dayMs, 'a day slow': -dayMs })) {
  test(`an agent that starts with a clock ${name} repeats its request at growing intervals, and is answered soon after the clock is right`, async () => {
    await inWorld({ seed: 42 }, async (world) => {
      const [anna, ben] = [world.player('anna'), world.player('ben')]
      await world.join(ben)
      anna.wallOffsetMs = byMs
      await world.finish(anna.start())
      await world.pass(3 * hourMs)
      assert.deepEqual(anna.emitted('replied'), [])
      const { length } = anna.emitted('requested')
      assert.ok(length >= 15 && length <= 30, `${length} requests in three hours`)
      assert.equal(anna.emitted('unanswered').length, length - 1)
      anna.wallOffsetMs = 0
      await world.until('they meet', () => world.areLinked(anna, ben), 11 * 60_000)
    })
  })
}

test('after the clock is set a day ahead, letters of other agents in the mailbox are still kept', async () => {
  const stage = await new InboxStage().open()
  const foreign = stage.mail(stage.reply(), stage.crypto.boxKeyPair().publicKey)
  const reply = stage.mail(stage.reply())
  stage.clock.jumpWall(dayMs)
  await stage.deliver(foreign, reply)
  // Our reply was in transit during the change of the clock and still counts.
  assert.equal(stage.replies.length, 1)
  assert.equal(stage.mailbox.mails.length, 1)
  await stage.pass(hourMs / 2)
  assert.equal(stage.mailbox.mails.length, 1)
  await stage.pass(hourMs)
  assert.equal(stage.mailbox.mails.length, 0)
  await stage.close()
})
