// Pauses all sending when the server is the problem, not one mail: the server says so, or several mails fail in a row. Without
// it the host would try every waiting mail against a server that takes none.

import type { Clock } from '../../base/clock.ts'
import type { Problem, ProblemCode } from '../../base/problem.ts'

type SendBackoffOptions = {
  readonly clock: Clock
  /** After this many failures in a row the server counts as the problem. */
  readonly failures: number
  /** The length of a pause after this many earlier ones. */
  readonly backoffMs: (rounds: number) => number
  /** Called once for each kind of trouble, also when the trouble comes and goes. */
  readonly onTrouble: (problem: Problem) => void
}

/** A kind of trouble is over when mails are sent and it did not occur for this long. */
const overAfterMs = 60_000

export class SendBackoff {
  readonly #options: SendBackoffOptions
  /** Since the last success or pause. */
  #failures = 0
  /** Since the last success. */
  #rounds = 0
  /** Monotonic ms. */
  #until = 0
  /** When each kind occurred last, in monotonic ms. */
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

  /** `problem`: given when every other mail would fail in the same way. */
  failed(problem: Problem | undefined): void {
    const { clock, failures, onTrouble } = this.#options
    if (problem) {
      if (!this.#troubles.has(problem.code)) onTrouble(problem)
      this.#troubles.set(problem.code, clock.now())
    }
    this.#failures++
    // A mail that fails during a pause was started before it.
    if (this.leftMs > 0 || (!problem && this.#failures < failures)) return
    this.#failures = 0
    this.pause(this.#options.backoffMs(this.#rounds++))
  }

  pause(forMs: number): void {
    this.#until = this.#options.clock.now() + forMs
  }
}
