// A worker thread of the nat benchmark: runs jobs and posts their results.

import { parentPort } from 'node:worker_threads'
import { cells, moreRows } from '../harness/simulator/nat-grid.ts'
import { type RunsOptions, runCondition } from '../harness/simulator/nat-runs.ts'
import type { Run } from '../harness/simulator/nat-statistics.ts'

export type Job = { readonly row: string; readonly condition: number; readonly options: RunsOptions }
export type Done = { readonly job: Job; readonly runs: readonly Run[] }

parentPort?.on('message', (job: Job) => {
  const row = [...cells, ...moreRows].find(({ name }) => name === job.row)
  if (!row) throw new Error(`no row ${job.row}`)
  const done: Done = { job, runs: runCondition(row, job.condition, job.options) }
  parentPort?.postMessage(done)
})
