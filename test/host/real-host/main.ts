// The process of a host on real mail servers, for tests that kill it. It reads its options as one line of JSON on stdin, so
// that a test can start it early. It prints its events on stdout. SIGUSR2 collects garbage and prints the memory. SIGTERM
// stops the host cleanly.

import { createInterface } from 'node:readline'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { loadSodium } from '../../../src/runtime/sodium.ts'
import { createRealHost, type RealHostOptions } from './real-host.ts'

const crypto = await loadSodium()
const print = (line: object) => console.log(JSON.stringify(line))

async function run(options: RealHostOptions): Promise<void> {
  const host = createRealHost(crypto, options, print, () => process.exit(1))
  process.once('SIGTERM', () => {
    void host.stop().then(() => {
      const [rssBytes, cpu] = [process.memoryUsage.rss(), process.cpuUsage()]
      print({ event: 'stopped', rssBytes, cpu, counters: host.counters() })
      process.exit(0)
    })
  })
  await host.start()
}

process.on('SIGUSR2', () => {
  // Set only now, because the flag would invalidate the code cache at the start.
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  print({ event: 'memory', ...process.memoryUsage() })
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
print({ event: 'loaded' })
