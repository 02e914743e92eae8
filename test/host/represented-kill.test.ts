// Kills a representative and its workers on real mail servers: each request gets one reply.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lacks } from '../harness/needs.ts'
import { seededRandom } from '../harness/seeded-crypto.ts'
import { waitUntil } from '../harness/wait-until.ts'
import { HostGroup, killAtRandom } from './real-host/host-group.ts'
import type { RealHostOptions } from './real-host/real-host.ts'
import type { SentRequest } from './real-host/replies.ts'

const skip = lacks('postfix', 'dovecot')
const seed = Number(process.env.PEERPOST_TEST_SEED ?? 20261124)
/** The representative and three workers. */
const places = [0, 1, 2, 3] as const
const settings = {
  batchMails: 10,
  retryFirstMs: 500,
  sweepMs: 2_000,
  takenAfterMs: 500,
  // Longer than the test: no slow worker counts as dead, and a letter that a kill lost would stay unanswered.
  forwardSilenceMs: 600_000,
} as const satisfies RealHostOptions['settings']

/** The requests that were sent, and the workers that answered them. */
class RequestLog {
  readonly #requests: SentRequest[] = []
  readonly #reader: ReturnType<HostGroup['repliesReader']>
  readonly #group: HostGroup

  constructor(group: HostGroup) {
    this.#group = group
    this.#reader = group.repliesReader()
  }

  async sendRequests(): Promise<void> {
    this.#requests.push(...(await this.#group.sendRequests()))
  }

  readonly waiting = (): number => {
    this.#reader.scan()
    return this.#requests.filter((request) => this.#reader.to(request).length === 0).length
  }

  answered(): Promise<void> {
    return waitUntil(
      () => this.waiting() === 0,
      () => `${this.waiting()} requests wait`,
      60_000,
    )
  }

  /** The mail address of the worker that answered it. Throws unless exactly one reply came. */
  #workerOf(request: SentRequest): string {
    const replies = this.#reader.to(request)
    assert.equal(
      replies.length,
      1,
      `${request.agent.name} got ${replies.length} different replies to one request`,
    )
    return replies[0]?.from ?? ''
  }

  workersOf(): ReadonlyMap<string, ReadonlySet<string>> {
    const workers = new Map<string, Set<string>>()
    for (const request of this.#requests) {
      const { name } = request.agent
      workers.set(name, (workers.get(name) ?? new Set()).add(this.#workerOf(request)))
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
  skip,
  timeout: 300_000,
}, async () => {
  const group = await HostGroup.createRepresented(agents, places.length - 1, settings)
  try {
    await Promise.all(places.map((place) => group.start(place)))
    const log = new RequestLog(group)
    const sending = async () => {
      for (let round = 0; round < rounds; round++) {
        await log.sendRequests()
        await log.answered()
      }
    }
    const random = seededRandom(seed)
    await Promise.all([sending(), killAtRandom(group, { kills, places: places.length, random })])
    await group.waitUntilAnswered(60_000, log.waiting)
    await group.stop()
    for (const [name, workers] of log.workersOf())
      assert.equal(workers.size, 1, `${name} was answered by ${[...workers]}`)
  } finally {
    await group.cleanUp()
  }
})
