// A simulated day of five hosts. Agents come, return, cannot be reached and leave, and letters are lost, late and doubled.

import { seededRandom } from '../harness/seeded-crypto.ts'
import { MemoryTable, statement } from './memory-table.ts'
import { SimulatedHosts } from './simulated-hosts.ts'

export const minuteMs = 60_000
export const hourMs = 60 * minuteMs
export const dayMs = 24 * hourMs

/** Whether all tables are equal four hours after the last fault. */
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
  world.faults = { delayMs: [200, 200 + random() * 10 * minuteMs], lost: random() * 0.4, doubled: 0.1 }
  const users = 1 + below(40)
  const events = 20 + below(100)
  for (let event = 0; event < events; event++) {
    world.time.after(random() * dayMs, () => {
      const user = below(users)
      const kind = random()
      const content = random() < 0.05 ? `something else ${below(3)}` : undefined
      // The clocks of agents differ by hours.
      const sentAt = Math.round(world.time.wallNow() + (user % 5) * hourMs)
      const sent = statement(user, sentAt, {
        ...(content !== undefined && { content }),
        isLeave: kind < 0.15,
        flagged: kind > 0.85,
      })
      for (let host = 0; host < 5; host++) if (random() < 0.5) world.receive(host, sent)
    })
  }
  if (random() < 0.5) {
    const from = random() * 0.5 * dayMs
    world.time.after(from, () => [0, 1].forEach((host) => void world.separate(host, 1)))
    world.time.after(from + random() * 0.5 * dayMs, () =>
      [0, 1].forEach((host) => void world.separate(host, 0)),
    )
  }
  for (let restarts = below(4); restarts > 0; restarts--) {
    world.time.after(random() * dayMs, () => world.restart(below(5)))
  }
  world.time.run(dayMs)
  world.faults = { delayMs: [200, 2_000], lost: 0, doubled: 0 }
  return world
}
