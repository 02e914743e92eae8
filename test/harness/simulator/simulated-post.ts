// The mail between two agents: each letter takes about so long, some overtake others, some come twice.

import type { Clock } from '../../../src/base/clock.ts'

export type PostOptions = {
  readonly clock: Clock
  readonly random: () => number
  /** Nominal time from sending to reading, through the host; each letter takes 0.8 to 1.2 times that. */
  readonly delayMs: number
  /** Part of the letters that come a second time, 0..1. */
  readonly doubled?: number
}

export class SimulatedPost {
  readonly #options: PostOptions

  constructor(options: PostOptions) {
    this.#options = options
  }

  /** How long the next letter takes. */
  drawMs(): number {
    const { random, delayMs } = this.#options
    return delayMs * (0.8 + 0.4 * random())
  }

  /** `read` is called once or twice, the second time perhaps much later. Returns when it is first called. */
  send(read: () => void): number {
    const { clock, random, doubled = 0 } = this.#options
    const times = [this.drawMs(), ...(random() < doubled ? [this.drawMs() * (1 + 9 * random())] : [])]
    for (const delay of times) clock.after(delay, read)
    return clock.now() + Math.min(...times)
  }
}
