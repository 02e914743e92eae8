// Ten minutes of requests with faults on both lines and in the process: exactly one reply each, and nothing grows.

import { soak } from '../harness/soak.ts'
import { type Report, round, tell } from './report.ts'

export async function benchSoak(minutes: number, seed = 20261124): Promise<Report> {
  const report = await soak({ durationMs: minutes * 60_000, seed, onProgress: tell })
  const { requests, unanswered, doubled, leftInMailbox, rssMB, openFiles, faults } = report
  const mostMB = Math.max(...rssMB)
  const mostFiles = Math.max(...openFiles)
  return {
    bench: 'soak',
    ratio: round((requests - unanswered - doubled) / requests),
    target: 'every request exactly one reply, memory under 200 MB, at most 60 files',
    pass: unanswered + doubled + leftInMailbox === 0 && requests > 0 && mostMB < 200 && mostFiles <= 60,
    baseline: { requests },
    measured: { unanswered, doubled, leftInMailbox, rssMB, openFiles },
    inputs: { minutes, seed, ...faults },
  }
}
