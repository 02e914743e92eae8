// A representative host and its workers are killed over real mail servers, and nobody is the worse for it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lacks } from '../harness/needs.ts'
import { seededRandom } from '../harness/seeded-crypto.ts'
import { waitUntil } from '../harness/wait-until.ts'
import { Crew, killAtRandom } from './real-host/crew.ts'
import type { RealHostOptions } from './real-host/real-host.ts'
import type { Asked } from './real-host/replies.ts'

const skip = lacks('postfix', 'dovecot')
const seed = Number(process.env.PEERPOST_TEST_SEED ?? 20261124)
/** The representative and three workers. */
const places = [0, 1, 2, 3] as const
const settings = {
  batchMails: 10,
  retryFirstMs: 500,
  sweepMs: 2_000,
  takenAfterMs: 500,
  // Longer than all of it, so that nobody counts as dead for being slow, and no letter that a kill had lost would be answered.
  forwardSilenceMs: 600_000,
} as const satisfies RealHostOptions['settings']

/** What was asked, and who answered. */
class Record {
  readonly #asked: Asked[] = []
  readonly #reader: ReturnType<Crew['repliesReader']>
  readonly #crew: Crew

  constructor(crew: Crew) {
    this.#crew = crew
    this.#reader = crew.repliesReader()
  }

  async ask(): Promise<void> {
    this.#asked.push(...(await this.#crew.ask()))
  }

  readonly waiting = (): number => {
    this.#reader.look()
    return this.#asked.filter((one) => this.#reader.to(one).length === 0).length
  }

  answered(): Promise<void> {
    return waitUntil(
      () => this.waiting() === 0,
      () => `${this.waiting()} requests wait`,
      60_000,
    )
  }

  /** The mail address of the worker that answered it; throws when not exactly one reply came. */
  #workerOf(one: Asked): string {
    const replies = this.#reader.to(one)
    assert.equal(
      replies.length,
      1,
      `${one.agent.name} got ${replies.length} different replies to one request`,
    )
    return replies[0]?.from ?? ''
  }

  workersOf(): ReadonlyMap<string, ReadonlySet<string>> {
    const workers = new Map<string, Set<string>>()
    for (const one of this.#asked) {
      const { name } = one.agent
      workers.set(name, (workers.get(name) ?? new Set()).add(this.#workerOf(one)))
    }
    return workers
  }
}

const [agents, rounds, kills] = (process.env.PEERPOST_TEST_KILLS ?? '20,3,6').split(',').map(Number) as [
  number,
  number,
  number,
]

test(`${agents * rounds} requests get their one reply each while representative and workers are killed ${kills} times at random, and the same agent is always answered by the same worker (seed ${seed})`, {
  ...{ skip, timeout: 300_000 },
}, async () => {
  const crew = await Crew.gatherRepresented(agents, places.length - 1, settings)
  try {
    await Promise.all(places.map((place) => crew.hire(place)))
    const record = new Record(crew)
    const asking = async () => {
      for (let round = 0; round < rounds; round++) {
        await record.ask()
        await record.answered()
      }
    }
    const random = seededRandom(seed)
    await Promise.all([asking(), killAtRandom(crew, { kills, places: places.length, random })])
    await crew.finish(60_000, record.waiting)
    await crew.dismiss()
    for (const [name, workers] of record.workersOf())
      assert.equal(workers.size, 1, `${name} was answered by ${[...workers]}`)
  } finally {
    await crew.disband()
  }
})
