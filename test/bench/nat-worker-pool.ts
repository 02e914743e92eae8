// Runs all rows of the grid on all cores.

import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type GridRow, networkConditions } from '../harness/simulator/nat-grid.ts'
import type { RunsOptions } from '../harness/simulator/nat-runs.ts'
import { type Run, type Statistics, statisticsOf } from '../harness/simulator/nat-statistics.ts'
import type { Done, Job } from './nat-worker.ts'

/** Returns the results by the name of the row. `onProgress`: the share done, 0..1. */
export async function runAll(
  rows: readonly GridRow[],
  options: RunsOptions,
  onProgress: (share: number) => void,
): Promise<Map<string, Statistics>> {
  const jobs: Job[] = rows.flatMap(({ name }) =>
    networkConditions.map((_, condition) => ({ row: name, condition, options })),
  )
  const waiting = [...jobs]
  const runs = new Map<string, Run[]>(rows.map(({ name }) => [name, []]))
  let finished = 0
  const work = (worker: Worker): Promise<void> =>
    new Promise((resolve, reject) => {
      const next = () => {
        const job = waiting.shift()
        if (job) worker.postMessage(job)
        else resolve()
      }
      worker.on('error', reject)
      worker.on('message', ({ job, runs: more }: Done) => {
        runs.get(job.row)?.push(...more)
        onProgress(++finished / jobs.length)
        next()
      })
      next()
    })
  const workers = Array.from(
    { length: availableParallelism() },
    () => new Worker(new URL('./nat-worker.ts', import.meta.url)),
  )
  try {
    await Promise.all(workers.map(work))
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
  return new Map(rows.map(({ name, goal }) => [name, statisticsOf(goal, runs.get(name) ?? [])]))
}
