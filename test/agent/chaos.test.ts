// Random faults in random order. After they end, all running agents become linked with each other.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../harness/seeded-crypto.ts'
import { goodMailConditions, inWorld, nat, type Player, type World } from '../harness/world.ts'

const runs = 30
const kinds = [nat('EIM', 'APDF'), nat('EIM', 'ADF', { allocation: 1 }), nat('EIM', 'EIF', { allocation: 2 })]

/** When an introduction is lost, the refresh of the entry after half of its lifetime leads to a new one. */
const host = { expiryMs: 1_200_000, cleanupMs: 60_000 }

type Draw = (below: number) => number

async function causeFault(world: World, players: readonly Player[], draw: Draw): Promise<string> {
  const player = players[draw(players.length)]
  assert.ok(player)
  switch (draw(9)) {
    case 0:
    case 1:
      if (player.isRunning) return `${player.name} runs`
      await world.finish(player.start())
      return `${player.name} starts`
    case 2:
      await world.finish(player.stop())
      return `${player.name} stops`
    case 3:
      player.kill()
      return `${player.name} is killed`
    case 4:
      player.computer.isCutOff = !player.computer.isCutOff
      return `${player.name}: cable`
    case 5: {
      const isDown = !world.post.isDown(player.address)
      world.post.setDown(player.address, isDown)
      return `${player.name}: mail ${isDown ? 'down' : 'up'}`
    }
    case 6:
      world.post.weather = {
        delayMs: [100, [500, 5_000, 40_000][draw(3)] ?? 500],
        lost: draw(3) / 10,
        doubled: draw(3) / 5,
        putOff: draw(3) / 5,
        unhinted: draw(3) / 5,
      }
      return 'weather'
    case 7:
      player.computer.plugInto(world.lan(kinds[draw(kinds.length)] ?? kinds[0] ?? nat('EIM', 'APDF')))
      return `${player.name} moves`
    default:
      await world.stopHost()
      await world.pass(draw(60_000))
      await world.startHost()
      return 'host restarts'
  }
}

for (let seed = 1; seed <= runs; seed++) {
  test(`after starts, stops, kills, moves and mail faults, all running agents are linked (seed ${seed})`, async () => {
    await inWorld({ seed, loss: seed % 3 === 0 ? 0.05 : 0, host }, async (world) => {
      const random = seededRandom(seed * 7_919)
      const draw: Draw = (below) => Math.floor(random() * below)
      const names = ['anna', 'ben', 'cleo', 'dora'].slice(0, 3 + draw(2))
      const players = names.map((name) => world.player(name, kinds[draw(kinds.length)]))
      const steps: string[] = []
      for (let step = 0; step < 14; step++) {
        steps.push(`${(world.clock.now() / 1000).toFixed(1)} ${await causeFault(world, players, draw)}`)
        await world.pass(draw(4) === 0 ? draw(90_000) : draw(4_000))
      }
      steps.push(`${(world.clock.now() / 1000).toFixed(1)} calm`)
      world.post.weather = goodMailConditions
      for (const player of players) {
        player.computer.isCutOff = false
        world.post.setDown(player.address, false)
        if (!player.isRunning) await world.finish(player.start())
      }
      // At most ten minutes pass between two requests, and an attempt takes up to two minutes.
      const linked = await world.clock.until(() => world.areLinked(...players), 1_500_000)
      assert.ok(linked, `${steps.join('\n')}\n${world.eventLog()}`)
      await world.pass(60_000)
      assert.ok(world.areLinked(...players), `${steps.join('\n')}\n${world.eventLog()}`)
    })
  })
}
