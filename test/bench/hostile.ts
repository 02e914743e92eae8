// 100,000 hostile mails through a complete host: none may be answered, and nothing may grow.

import { runCampaign } from '../harness/hostile/campaign.ts'
import { printProgress, type Report, round } from './report.ts'

const batch = 500
const controls = 40
/** Limit of the resident memory at the end, relative to that after a fifth of the mails. */
const maxGrowth = 1.15

export async function benchHostile(letters: number, seed = 20261124): Promise<Report> {
  const report = await runCampaign({ letters, seed, batch, controls, onProgress: printProgress })
  const { dropped, expected, rssMB, filesBefore, filesAfter } = report
  const asExpected = Object.entries(expected).every(([reason, count]) => (dropped[reason] ?? 0) >= count)
  const allDropped = Object.values(dropped).reduce((sum, count) => sum + count, 0)
  const ratio = round((rssMB.at(-1) ?? 0) / (rssMB[1] ?? 0))
  return {
    bench: 'hostile',
    ratio,
    target: `no answer, every mail under its reason, no file left open, memory at most ${maxGrowth} of what it was after a fifth`,
    pass:
      ratio <= maxGrowth &&
      asExpected &&
      allDropped === report.delivered - report.leftAlone + 1 &&
      report.repliesSent === report.controls &&
      report.accepted === report.controls &&
      report.troubles === 0 &&
      filesAfter <= filesBefore,
    baseline: { goodRequests: report.controls, ...prefixed('made for', expected) },
    measured: {
      repliesSent: report.repliesSent,
      troubles: report.troubles,
      leftAlone: report.leftAlone,
      lettersPerSecond: round(report.delivered / (report.tookMs / 1_000), 1),
      rssMB,
      filesBefore,
      filesAfter,
      entries: report.entries,
      seenLetters: report.seenLetters,
      waitingMails: report.waitingMails,
      ...prefixed('dropped', dropped),
    },
    inputs: { letters, seed, batch },
  }
}

function prefixed(prefix: string, counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [`${prefix} ${name}`, count]))
}
