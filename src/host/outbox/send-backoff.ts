// Stops all sending for a while when the trouble is not one mail's: the server says so, or one mail after the other fails.
// Without it every mail that waits would be tried in turn against a server that takes none.

import type { Clock } from '../../base/clock.ts'
import type { Problem, ProblemCode } from '../../base/problem.ts'

type SendBackoffOptions = {
  readonly clock: Clock
  /** So many failures in a row make the trouble the server's. */
  readonly failures: number
  /** How long the pause after so many others is. */
  readonly backoffMs: (rounds: number) => number
  /** Once for each kind of trouble, also where it comes and goes. */
  readonly onTrouble: (problem: Problem) => void
}

/** Trouble not met for so long, while mails went, is over. */
const overAfterMs = 60_000

export class SendBackoff {
  readonly #options: SendBackoffOptions
  /** Since the last success or pause. */
  #failures = 0
  /** Since the last success. */
  #rounds = 0
  /** Monotonic ms. */
  #until = 0
  /** When it was met last; monotonic ms. */
  readonly #troubles = new Map<ProblemCode, number>()

  constructor(options: SendBackoffOptions) {
    this.#options = options
  }

  get leftMs(): number {
    return Math.max(0, this.#until - this.#options.clock.now())
  }

  /** The server took a mail, or refused it for good. */
  succeeded(): void {
    this.#failures = 0
    this.#rounds = 0
    const now = this.#options.clock.now()
    for (const [code, at] of this.#troubles) if (now - at > overAfterMs) this.#troubles.delete(code)
  }

  /** `problem`: every other mail would meet the same. */
  failed(problem: Problem | undefined): void {
    const { clock, failures, onTrouble } = this.#options
    if (problem) {
      if (!this.#troubles.has(problem.code)) onTrouble(problem)
      this.#troubles.set(problem.code, clock.now())
    }
    this.#failures++
    // What fails during a pause was under way before.
    if (this.leftMs > 0 || (!problem && this.#failures < failures)) return
    this.#failures = 0
    this.pause(this.#options.backoffMs(this.#rounds++))
  }

  pause(forMs: number): void {
    this.#until = this.#options.clock.now() + forMs
  }
}
