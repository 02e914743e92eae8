// Agents whose computer’s clock is set while they run, or was wrong when they started; the host’s is right.

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

/** Meets anna by what the host knows of her now. */
async function newcomerMeets(world: World, anna: Player, name: string): Promise<void> {
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
        anna.forget()
        anna.wallOffsetMs = offsetMs
        anna.agent.requestSoon()
        await world.until('anna is answered', () => anna.told('replied').length > 0, 15 * 60_000)
        await newcomerMeets(world, anna, `newcomer${step}`)
        await world.pass(10 * 60_000)
        assert.deepEqual(anna.told('disconnected'), [])
        const { length } = anna.told('requested')
        assert.ok(length >= 1 && length <= 8, `${length} requests`)
      }
      assert.ok(world.areLinked(...world.players.filter((player) => player === anna || player === ben)))
    })
  })
}

for (const [name, byMs] of Object.entries({ 'a day fast': dayMs, 'a day slow': -dayMs })) {
  test(`an agent that starts with a clock ${name} asks on, ever more seldom, and is answered soon after it is right`, async () => {
    await inWorld({ seed: 42 }, async (world) => {
      const [anna, ben] = [world.player('anna'), world.player('ben')]
      await world.join(ben)
      anna.wallOffsetMs = byMs
      await world.finish(anna.start())
      await world.pass(3 * hourMs)
      assert.deepEqual(anna.told('replied'), [])
      const { length } = anna.told('requested')
      assert.ok(length >= 15 && length <= 30, `${length} requests in three hours`)
      assert.equal(anna.told('unanswered').length, length - 1)
      anna.wallOffsetMs = 0
      await world.until('they meet', () => world.areLinked(anna, ben), 11 * 60_000)
    })
  })
}

test('a clock that is set a day ahead does not make the letters of others in the mailbox too old to be left alone', async () => {
  const stage = await new InboxStage().open()
  const foreign = stage.mail(stage.reply(), stage.crypto.boxKeyPair().publicKey)
  const reply = stage.mail(stage.reply())
  stage.clock.jumpWall(dayMs)
  await stage.deliver(foreign, reply)
  // In flight meanwhile, and ours all the same.
  assert.equal(stage.replies.length, 1)
  assert.equal(stage.mailbox.mails.length, 1)
  await stage.pass(hourMs / 2)
  assert.equal(stage.mailbox.mails.length, 1)
  await stage.pass(hourMs)
  assert.equal(stage.mailbox.mails.length, 0)
  await stage.close()
})
