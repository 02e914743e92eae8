// Runs all rows of the grid on all cores.

import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type Line, weathers } from '../harness/simulator/nat-grid.ts'
import type { RunsOptions } from '../harness/simulator/nat-runs.ts'
import { type Run, type Tally, tally } from '../harness/simulator/nat-tally.ts'
import type { Done, Job } from './nat-worker.ts'

/** Returns the results by the name of the row. `onProgress`: the share done, 0..1. */
export async function runAll(
  lines: readonly Line[],
  options: RunsOptions,
  onProgress: (part: number) => void,
): Promise<Map<string, Tally>> {
  const jobs: Job[] = lines.flatMap(({ name }) =>
    weathers.map((_, weather) => ({ line: name, weather, options })),
  )
  const waiting = [...jobs]
  const runs = new Map<string, Run[]>(lines.map(({ name }) => [name, []]))
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
        runs.get(job.line)?.push(...more)
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
  return new Map(lines.map(({ name, goal }) => [name, tally(goal, runs.get(name) ?? [])]))
}
