// A worker thread of the nat benchmark: runs jobs and posts their results.

import { parentPort } from 'node:worker_threads'
import { cells, moreLines } from '../harness/simulator/nat-grid.ts'
import { type RunsOptions, runWeather } from '../harness/simulator/nat-runs.ts'
import type { Run } from '../harness/simulator/nat-tally.ts'

export type Job = { readonly line: string; readonly weather: number; readonly options: RunsOptions }
export type Done = { readonly job: Job; readonly runs: readonly Run[] }

parentPort?.on('message', (job: Job) => {
  const line = [...cells, ...moreLines].find(({ name }) => name === job.line)
  if (!line) throw new Error(`no line ${job.line}`)
  const done: Done = { job, runs: runWeather(line, job.weather, job.options) }
  parentPort?.postMessage(done)
})
