// Mail between two agents: each letter takes about a given time, some overtake others, some arrive twice.

import type { Clock } from '../../../src/base/clock.ts'

export type SimulatedMailOptions = {
  readonly clock: Clock
  readonly random: () => number
  /** Nominal time from sending to reading, including the host. Each letter takes 0.8 to 1.2 times that. */
  readonly delayMs: number
  /** Share of letters that arrive twice, 0..1. */
  readonly doubled?: number
}

export class SimulatedMail {
  readonly #options: SimulatedMailOptions

  constructor(options: SimulatedMailOptions) {
    this.#options = options
  }

  /** Draws the time of the next letter. */
  drawMs(): number {
    const { random, delayMs } = this.#options
    return delayMs * (0.8 + 0.4 * random())
  }

  /**
   * `read` is called once or twice, the second time possibly much later. Returns the time of the first call.
   */
  send(read: () => void): number {
    const { clock, random, doubled = 0 } = this.#options
    const times = [this.drawMs(), ...(random() < doubled ? [this.drawMs() * (1 + 9 * random())] : [])]
    for (const delay of times) clock.after(delay, read)
    return clock.now() + Math.min(...times)
  }
}
