// What 64 links cost that carry nothing: memory and processor of one agent process, over half a minute.

import { readFileSync } from 'node:fs'
import { controlFileOf, readControlFile } from '../../src/api/control-file.ts'
import type { LinkRoom } from './link-room.ts'
import type { Quiet } from './quiet.ts'
import { type Report, round, sleep, tell } from './report.ts'

const links = 64
const settleMs = 20_000
const measureMs = 30_000
const most = { megabytes: 120, percentOfACore: 3 }
/** Of proc_pid_stat(5); the same on every Linux that runs Node. */
const ticksPerSecond = 100

export async function benchIdle(room: LinkRoom, quiet: Pick<Quiet, 'wait'>): Promise<Report> {
  const config = await room.setUp('hub')
  const crowd = await room.crowd(
    config,
    Array.from({ length: links }, (_, index) => ({ name: `idler${index}`, forwards: [] })),
  )
  const hub = room.start('hub', config, ['--expose', 'udp:7777', '--expose', 'tcp:7777'])
  await hub.waitFor('connected')
  // A reply names but a few: the hub asks again until it knows them all.
  const control = readControlFile(controlFileOf(config))
  const ask = setInterval(() => {
    const headers = { authorization: `Bearer ${control?.token}` }
    fetch(`${control?.url}/v1/room/join`, { method: 'POST', headers }).catch(() => {})
  }, 5_000)
  for (let linked = 0; linked < links; ) {
    linked = Number((await crowd.heard('connected')).count)
    if (linked % 16 === 0) tell(`${linked} links`)
  }
  clearInterval(ask)
  await sleep(settleMs)
  await quiet.wait()
  const before = processorMs(hub.processId)
  await sleep(measureMs)
  const percent = round(((processorMs(hub.processId) - before) / measureMs) * 100, 2)
  const megabytes = round(residentBytes(hub.processId) / 1e6, 1)
  await hub.stop(5_000)
  return {
    bench: 'link idle',
    ratio: round(Math.max(megabytes / most.megabytes, percent / most.percentOfACore)),
    target: `<= ${most.megabytes} MB and <= ${most.percentOfACore} % of a core`,
    pass: megabytes <= most.megabytes && percent <= most.percentOfACore,
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
