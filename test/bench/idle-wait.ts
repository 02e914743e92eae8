// Waits until the machine is idle, because with two shared cores a measurement would include other programs.

import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { printProgress, sleep } from './report.ts'

/** Highest share of processor time used for work, disk or hypervisor that counts as idle. */
const maxBusyShare = 0.12
const sampleMs = 300
/** Time limit of all waits of one benchmark together. */
const maxWaitMs = 600_000

export class IdleWait {
  readonly #from = performance.now()
  readonly #startLoad = loadavg()[0] ?? 0
  #waitedMs = 0
  #timeouts = 0

  /** Resolves when the machine is idle, or after the time limit. */
  async wait(): Promise<void> {
    const from = performance.now()
    for (;;) {
      const before = processorTimes()
      await sleep(sampleMs)
      const after = processorTimes()
      const share = 1 - (after.idle - before.idle) / (after.all - before.all)
      if (share <= maxBusyShare) break
      if (this.#waitedMs + performance.now() - from > maxWaitMs) {
        if (this.#timeouts++ === 0) printProgress('other programs keep running: measuring beside them')
        break
      }
    }
    this.#waitedMs += performance.now() - from
  }

  /** How much other programs disturbed the measurement. */
  get disturbance(): { readonly [name: string]: number } {
    return {
      loadAtStart: this.#startLoad,
      waitedS: Math.round(this.#waitedMs / 1_000),
      tookS: Math.round((performance.now() - this.#from) / 1_000),
      measuredBesideOthers: this.#timeouts,
    }
  }
}

/** Ticks of all processors since boot (proc_stat(5)). Time stolen by the hypervisor is not idle. */
export function processorTimes(): { readonly idle: number; readonly all: number } {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n')
  const ticks = line.split(/\s+/).slice(1, 9).map(Number)
  return { idle: ticks[3] ?? 0, all: ticks.reduce((sum, part) => sum + part, 0) }
}
