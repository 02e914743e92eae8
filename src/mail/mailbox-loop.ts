// When a mailbox is looked through: at the start, when it says that there may be mail, and every now and then without a word
// of it. One look at a time.

import type { Clock } from '../base/clock.ts'

/** Before the next look, whatever came meanwhile. */
export type Rest = {
  readonly forMs: number
  /** Whether `wake` ends it. */
  readonly canBeWoken: boolean
}

/** Null: the next look is made when somebody wakes the loop, or woke it during this one. */
type Look = () => Promise<Rest | null>

type MailboxLoopOptions = {
  readonly clock: Clock
  /** The longest time between two looks. */
  readonly sweepMs: number
  /** After a look that was rejected. */
  readonly restAfter: (thrown: unknown) => Rest
}

export class MailboxLoop {
  readonly #options: MailboxLoopOptions
  /** There may be mail that was not looked at. */
  #mayHoldMore = false
  #isStopped = false
  #running: Promise<void> | null = null
  #endRest: (() => void) | null = null
  #canBeWoken = false

  constructor(options: MailboxLoopOptions) {
    this.#options = options
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  /** Looks at once. May be called again. */
  start(look: Look): void {
    this.#running ??= this.#run(look)
  }

  /** There may be mail. */
  wake(): void {
    this.#mayHoldMore = true
    if (this.#canBeWoken) this.#endRest?.()
  }

  /** Resolves when the look that is under way has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#endRest?.()
    await this.#running
  }

  async #run(look: Look): Promise<void> {
    const { restAfter, sweepMs } = this.#options
    while (!this.#isStopped) {
      this.#mayHoldMore = false
      const rest = await look().catch(restAfter)
      if (rest) await this.#rest(rest)
      else if (!this.#mayHoldMore) await this.#rest({ forMs: sweepMs, canBeWoken: true })
    }
  }

  #rest({ forMs, canBeWoken }: Rest): Promise<void> {
    if (this.#isStopped) return Promise.resolve()
    this.#canBeWoken = canBeWoken
    return new Promise((resolve) => {
      const end = () => {
        cancel()
        this.#endRest = null
        resolve()
      }
      const cancel = this.#options.clock.after(forMs, end)
      this.#endRest = end
    })
  }
}
