// Ten minutes of requests with faults on both connections and in the process: each must get exactly one reply,
// and nothing may grow.

import { soak } from '../harness/soak.ts'
import { printProgress, quantile, type Report, round } from './report.ts'

/**
 * Resident memory of a host that runs from its sources. It is far more than is in use: half of it is Node's
 * code and what malloc keeps. The built program is measured by the benchmark `backlog`.
 */
const maxMegabytes = 300
/**
 * Growth of the memory in use after garbage collection, second half of the life against the first half. Work in
 * progress makes it vary by some 5 MB.
 */
const maxGrowthMB = 5
const maxFiles = 60

export async function benchSoak(minutes: number, seed = 20261124): Promise<Report> {
  const report = await soak({ durationMs: minutes * 60_000, seed, onProgress: printProgress })
  const { requests, unanswered, doubled, leftInMailbox, samples, faults } = report
  // Only samples of the last host; its first tenth of the time fills the caches.
  const warm = samples.filter(({ ageMs }, at) => ageMs >= minutes * 6_000 && at >= samples.length - 6)
  const heapMB = warm.map((sample) => sample.heapMB)
  const half = Math.floor(heapMB.length / 2)
  const growthMB = round(quantile(heapMB.slice(half), 0.5) - quantile(heapMB.slice(0, half), 0.5), 1)
  const peakMB = Math.max(...samples.map(({ rssMB }) => rssMB))
  const peakFiles = Math.max(...samples.map(({ openFiles }) => openFiles))
  const isExact = requests > 0 && unanswered + doubled + leftInMailbox === 0
  return {
    bench: 'soak',
    ratio: round((requests - unanswered - doubled) / requests),
    target: `every request exactly one reply; at most ${maxMegabytes} MB, ${maxFiles} files, and ${maxGrowthMB} MB more in use in the later half than in the earlier`,
    pass: isExact && peakMB < maxMegabytes && peakFiles <= maxFiles && growthMB <= maxGrowthMB,
    baseline: { requests },
    measured: {
      unanswered,
      doubled,
      leftInMailbox,
      growthMB,
      peakMB,
      peakFiles,
      samples: JSON.stringify(samples),
    },
    inputs: { minutes, seed, ...faults },
  }
}
