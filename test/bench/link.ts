// What links cost a game: added latency, datagrams per second, one TCP connection over a bad path, and the
// memory and processor time of idle links. `npm run bench -- link`; `--part=stream` measures only that part.

import type { IdleWait } from './idle-wait.ts'
import { benchFlow } from './link-flow.ts'
import { benchIdle } from './link-idle.ts'
import { benchLatency } from './link-latency.ts'
import { benchStream } from './link-stream.ts'
import { LinkTestbed } from './link-testbed.ts'
import type { Report } from './report.ts'

const parts: Readonly<Record<string, (idleWait: Pick<IdleWait, 'wait'>) => Promise<Report | Report[]>>> = {
  latency: (idleWait) => inTestbed((testbed) => benchLatency(testbed, idleWait)),
  flow: (idleWait) => inTestbed((testbed) => benchFlow(testbed, idleWait)),
  stream: (idleWait) => benchStream(idleWait),
  idle: (idleWait) => inTestbed((testbed) => benchIdle(testbed, idleWait)),
}

export async function benchLink(idleWait: Pick<IdleWait, 'wait'>, only?: string): Promise<Report[]> {
  const reports: Report[] = []
  for (const [name, bench] of Object.entries(parts)) {
    if (only === undefined || only === name) reports.push(...[await bench(idleWait)].flat())
  }
  return reports
}

async function inTestbed(work: (testbed: LinkTestbed) => Promise<Report>): Promise<Report> {
  const testbed = await LinkTestbed.open()
  try {
    return await work(testbed)
  } finally {
    await testbed.close()
  }
}
