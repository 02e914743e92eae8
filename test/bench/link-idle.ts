// The cost of 64 idle links: memory and processor time of one agent process within half a minute.

import { readFileSync } from 'node:fs'
import { controlFileOf, readControlFile } from '../../src/api/control-file.ts'
import type { IdleWait } from './idle-wait.ts'
import type { LinkTestbed } from './link-testbed.ts'
import { printProgress, type Report, round, sleep } from './report.ts'

const links = 64
const settleMs = 20_000
const measureMs = 30_000
const limits = { megabytes: 120, percentOfACore: 3 }
/** Unit of proc_pid_stat(5); the same on every Linux that runs Node. */
const ticksPerSecond = 100

export async function benchIdle(testbed: LinkTestbed, idleWait: Pick<IdleWait, 'wait'>): Promise<Report> {
  const config = await testbed.createAgent('hub')
  const agents = await testbed.startAgents(
    config,
    Array.from({ length: links }, (_, index) => ({ name: `idler${index}`, forwards: [] })),
  )
  const hub = testbed.start('hub', config, ['--expose', 'udp:7777', '--expose', 'tcp:7777'])
  await hub.waitFor('connected')
  // A reply names only a few agents, so the hub repeats its request until it knows all.
  const control = readControlFile(controlFileOf(config))
  const joinTimer = setInterval(() => {
    const headers = { authorization: `Bearer ${control?.token}` }
    fetch(`${control?.url}/v1/room/join`, { method: 'POST', headers }).catch(() => {})
  }, 5_000)
  for (let connected = 0; connected < links; ) {
    connected = Number((await agents.waitFor('connected')).count)
    if (connected % 16 === 0) printProgress(`${connected} links`)
  }
  clearInterval(joinTimer)
  await sleep(settleMs)
  await idleWait.wait()
  const before = processorMs(hub.processId)
  await sleep(measureMs)
  const percent = round(((processorMs(hub.processId) - before) / measureMs) * 100, 2)
  const megabytes = round(residentBytes(hub.processId) / 1e6, 1)
  await hub.stop(5_000)
  return {
    bench: 'link idle',
    ratio: round(Math.max(megabytes / limits.megabytes, percent / limits.percentOfACore)),
    target: `<= ${limits.megabytes} MB and <= ${limits.percentOfACore} % of a core`,
    pass: megabytes <= limits.megabytes && percent <= limits.percentOfACore,
    baseline: {},
    measured: { megabytes, percentOfACore: percent },
    inputs: { links, settleMs, measureMs },
  }
}

function processorMs(id: number): number {
  const stat = readFileSync(`/proc/${id}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1_000
}

function residentBytes(id: number): number {
  const status = readFileSync(`/proc/${id}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}
