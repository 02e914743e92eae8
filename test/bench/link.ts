// What links cost a game: time added to a datagram, datagrams a second, one TCP connection over a bad path, and memory
// and processor when nothing happens. `npm run bench -- link`; `--part=stream` measures only that part.

import { benchFlow } from './link-flow.ts'
import { benchIdle } from './link-idle.ts'
import { benchLatency } from './link-latency.ts'
import { LinkRoom } from './link-room.ts'
import { benchStream } from './link-stream.ts'
import type { Quiet } from './quiet.ts'
import type { Report } from './report.ts'

const parts: Readonly<Record<string, (quiet: Pick<Quiet, 'wait'>) => Promise<Report | Report[]>>> = {
  latency: (quiet) => inRoom((room) => benchLatency(room, quiet)),
  flow: (quiet) => inRoom((room) => benchFlow(room, quiet)),
  stream: (quiet) => benchStream(quiet),
  idle: (quiet) => inRoom((room) => benchIdle(room, quiet)),
}

export async function benchLink(quiet: Pick<Quiet, 'wait'>, only?: string): Promise<Report[]> {
  const reports: Report[] = []
  for (const [name, bench] of Object.entries(parts)) {
    if (only === undefined || only === name) reports.push(...[await bench(quiet)].flat())
  }
  return reports
}

async function inRoom(work: (room: LinkRoom) => Promise<Report>): Promise<Report> {
  const room = await LinkRoom.open()
  try {
    return await work(room)
  } finally {
    await room.close()
  }
}
