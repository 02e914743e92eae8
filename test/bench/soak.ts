// Ten minutes of requests with faults on both lines and in the process: exactly one reply each, and nothing grows.

import { soak } from '../harness/soak.ts'
import { quantile, type Report, round, tell } from './report.ts'

/** Resident, of a host that runs from its sources, and far more than is in use: half of it is Node's own code and what
 *  malloc keeps for itself. That of the built program is looked at by the bench `backlog`. */
const mostMegabytes = 300
/** Flat: what is in use when all was collected that can be, in the later half of a life against the earlier one. What
 *  is in hand just then makes it vary by some 5 MB. */
const mostGrowthMB = 5
const mostFiles = 60

export async function benchSoak(minutes: number, seed = 20261124): Promise<Report> {
  const report = await soak({ durationMs: minutes * 60_000, seed, onProgress: tell })
  const { requests, unanswered, doubled, leftInMailbox, samples, faults } = report
  // Of the host that was killed no more; in its first tenth of the time it fills what it keeps.
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
    target: `every request exactly one reply; at most ${mostMegabytes} MB, ${mostFiles} files, and ${mostGrowthMB} MB more in use in the later half than in the earlier`,
    pass: isExact && peakMB < mostMegabytes && peakFiles <= mostFiles && growthMB <= mostGrowthMB,
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
