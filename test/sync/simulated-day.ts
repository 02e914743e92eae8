// A day of five hosts whose agents come, come back, fail to be reached and leave, in bad weather.

import { seededRandom } from '../harness/seeded-crypto.ts'
import { MemoryTable, statement } from './memory-table.ts'
import { SimulatedHosts } from './simulated-hosts.ts'

export const minuteMs = 60_000
export const hourMs = 60 * minuteMs
export const dayMs = 24 * hourMs

/** Whether the tables are the same some hours after the last trouble. */
export function endsEqual(seed: number): boolean {
  const world = oneDay(seed)
  world.time.run(4 * hourMs)
  return world.areEqual
}

/** Each agent writes to some of the hosts. */
function oneDay(seed: number): SimulatedHosts {
  const random = seededRandom(seed)
  const below = (most: number) => Math.floor(random() * most)
  const world = new SimulatedHosts(
    Array.from({ length: 5 }, () => new MemoryTable()),
    random,
  )
  world.weather = { delayMs: [200, 200 + random() * 10 * minuteMs], lost: random() * 0.4, doubled: 0.1 }
  const users = 1 + below(40)
  const events = 20 + below(100)
  for (let event = 0; event < events; event++) {
    world.time.after(random() * dayMs, () => {
      const user = below(users)
      const kind = random()
      const says = random() < 0.05 ? `something else ${below(3)}` : undefined
      // Clocks of agents are apart by hours.
      const sentAt = Math.round(world.time.wallNow() + (user % 5) * hourMs)
      const said = statement(user, sentAt, {
        ...(says !== undefined && { says }),
        isLeave: kind < 0.15,
        flagged: kind > 0.85,
      })
      for (let host = 0; host < 5; host++) if (random() < 0.5) world.say(host, said)
    })
  }
  if (random() < 0.5) {
    const from = random() * 0.5 * dayMs
    world.time.after(from, () => [0, 1].forEach((host) => void world.part(host, 1)))
    world.time.after(from + random() * 0.5 * dayMs, () => [0, 1].forEach((host) => void world.part(host, 0)))
  }
  for (let restarts = below(4); restarts > 0; restarts--) {
    world.time.after(random() * dayMs, () => world.restart(below(5)))
  }
  world.time.run(dayMs)
  world.weather = { delayMs: [200, 2_000], lost: 0, doubled: 0 }
  return world
}
