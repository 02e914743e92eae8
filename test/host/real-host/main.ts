// The process of a host over real mail servers, for tests that kill it. Reads its options as one line of JSON on stdin, so
// that it can be started before it is wanted; tells its events on stdout. Tells its memory, without what could be
// collected, on SIGUSR2; ends cleanly on SIGTERM.

import { createInterface } from 'node:readline'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { loadSodium } from '../../../src/runtime/sodium.ts'
import { createRealHost, type RealHostOptions } from './real-host.ts'

const crypto = await loadSodium()
const tell = (told: object) => console.log(JSON.stringify(told))

async function run(options: RealHostOptions): Promise<void> {
  const host = createRealHost(crypto, options, tell, () => process.exit(1))
  process.once('SIGTERM', () => {
    void host.stop().then(() => {
      const [rssBytes, cpu] = [process.memoryUsage.rss(), process.cpuUsage()]
      tell({ event: 'stopped', rssBytes, cpu, counters: host.counters() })
      process.exit(0)
    })
  })
  await host.start()
}

process.on('SIGUSR2', () => {
  // Not from the start: it is a flag that the compiled code would depend on.
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  tell({ event: 'memory', ...process.memoryUsage() })
})
const lines = createInterface({ input: process.stdin })
lines.once('line', (line) => {
  lines.close()
  process.stdin.destroy()
  run(JSON.parse(line) as RealHostOptions).catch((thrown: unknown) => {
    console.error(thrown)
    process.exit(1)
  })
})
tell({ event: 'loaded' })
