// Waiting for the machine to have nothing else to do, because two cores shared with other programs measure those.

import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { sleep, tell } from './report.ts'

/** Share of the processors' time in which they work or wait for the disk or for the hypervisor. */
const quietShare = 0.12
const watchMs = 300
/** In one bench, all waits together. */
const longestWaitMs = 600_000

export class Quiet {
  readonly #from = performance.now()
  readonly #startLoad = loadavg()[0] ?? 0
  #waitedMs = 0
  #gaveUp = 0

  /** Resolves when nobody else works, or when it has been waited for long enough. */
  async wait(): Promise<void> {
    const from = performance.now()
    for (;;) {
      const before = processorTimes()
      await sleep(watchMs)
      const after = processorTimes()
      const share = 1 - (after.idle - before.idle) / (after.all - before.all)
      if (share <= quietShare) break
      if (this.#waitedMs + performance.now() - from > longestWaitMs) {
        if (this.#gaveUp++ === 0) tell('other programs keep running: measuring beside them')
        break
      }
    }
    this.#waitedMs += performance.now() - from
  }

  /** How quiet it was. */
  get disturbance(): { readonly [name: string]: number } {
    return {
      loadAtStart: this.#startLoad,
      waitedS: Math.round(this.#waitedMs / 1_000),
      tookS: Math.round((performance.now() - this.#from) / 1_000),
      measuredBesideOthers: this.#gaveUp,
    }
  }
}

/** Of all processors together, in ticks since the machine started (proc_stat(5)); time stolen by the hypervisor is not idle. */
export function processorTimes(): { readonly idle: number; readonly all: number } {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n')
  const ticks = line.split(/\s+/).slice(1, 9).map(Number)
  return { idle: ticks[3] ?? 0, all: ticks.reduce((sum, part) => sum + part, 0) }
}
