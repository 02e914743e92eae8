// Host processes on one PostgreSQL and one mailbox: the throughput of 1, 2 and 4 of them against one host on
// SQLite. And four of them answer each of 1,000 requests exactly once while they are killed at random.

import { PostgresCluster } from '../harness/postgres.ts'
import { seededRandom } from '../harness/seeded-crypto.ts'
import { HostGroup, killAtRandom } from '../host/real-host/host-group.ts'
import type { IdleWait } from './idle-wait.ts'
import { printProgress, type Report, round } from './report.ts'

const backlog = 500
const crews = [1, 2, 4]
const killed = { requests: 1_000, places: 4, kills: 40, seed: 20261124 }

export async function benchPostgres(
  idleWait: Pick<IdleWait, 'wait'>,
  part?: string,
): Promise<readonly Report[]> {
  const cluster = await PostgresCluster.start()
  try {
    return [
      ...(part === 'kills' ? [] : [await throughput(cluster, idleWait)]),
      ...(part === 'throughput' ? [] : [await kills(cluster)]),
    ]
  } finally {
    await cluster.stop()
  }
}

async function throughput(cluster: PostgresCluster, idleWait: Pick<IdleWait, 'wait'>): Promise<Report> {
  await idleWait.wait()
  const sqlite = await rate(1, null)
  const rates = new Map<number, number>()
  for (const processes of crews) rates.set(processes, await rate(processes, await cluster.database()))
  const one = rates.get(1) ?? Number.NaN
  const ratios = crews.map((processes) => [
    `x${processes} of x1`,
    round((rates.get(processes) ?? Number.NaN) / one, 2),
  ])
  return {
    bench: 'postgres-throughput',
    ratio: round((rates.get(4) ?? Number.NaN) / one, 2),
    target: 'reported, not held to a bound',
    pass: true,
    baseline: { 'sqlite x1 lettersPerSecond': round(sqlite, 1) },
    measured: {
      ...Object.fromEntries(
        [...rates].map(([count, rate]) => [`x${count} lettersPerSecond`, round(rate, 1)]),
      ),
      ...Object.fromEntries(ratios),
      'x1 of sqlite': round(one / sqlite, 2),
    },
    inputs: { backlog },
  }
}

/** Requests answered per second, of those waiting when the last process was ready. */
async function rate(processes: number, database: string | null): Promise<number> {
  const group = await HostGroup.create(backlog, database, { retryFirstMs: 500 })
  try {
    await group.sendRequests()
    await group.prepare(processes)
    const began = performance.now()
    await group.startPrepared()
    await group.waitUntilAnswered(180_000)
    const seconds = (performance.now() - began) / 1_000
    await group.stop()
    group.oneReplyEach()
    printProgress(
      `postgres: ${processes} on ${database ? 'PostgreSQL' : 'SQLite'}: ${round(backlog / seconds, 1)}/s`,
    )
    return backlog / seconds
  } finally {
    await group.cleanUp()
  }
}

async function kills(cluster: PostgresCluster): Promise<Report> {
  const { requests, places, seed } = killed
  const group = await HostGroup.create(requests, await cluster.database())
  try {
    for (let place = 0; place < places; place++) await group.start(place)
    const random = seededRandom(seed)
    await Promise.all([group.sendRequests(), killAtRandom(group, { ...killed, random })])
    await group.waitUntilAnswered(300_000)
    await group.stop()
    const { copies } = group.oneReplyEach()
    return {
      bench: 'postgres-kills',
      ratio: 1,
      target: '1: one reply to each request',
      pass: true,
      baseline: { requests },
      measured: { replies: requests, sentAgainAsTheSameBytes: copies },
      inputs: killed,
    }
  } finally {
    await group.cleanUp()
  }
}
