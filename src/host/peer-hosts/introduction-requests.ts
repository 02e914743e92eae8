// Wishes for introductions that other hosts are asked for: gathered for a moment, so that several go in one letter.

import type { Clock } from '../../base/clock.ts'
import type { IntroductionRequest } from '../../letter/letter-types.ts'
import type { HostId } from '../../sync/table-sync.ts'

/** To one host, waiting; beyond it they are lost, as a lost mail would be. */
const mostWishes = 1_024
/** Each with what its asker signed. */
const wishesInLetter = 16

export type IntroductionRequestsOptions = {
  readonly clock: Clock
  readonly gatherMs: number
  /** At most `wishesInLetter` for this host. */
  readonly send: (to: HostId, wishes: readonly IntroductionRequest[]) => void
  /** Around the sending. */
  readonly guarded: (work: () => void) => void
}

export class IntroductionRequests {
  readonly #options: IntroductionRequestsOptions
  readonly #waiting = new Map<HostId, IntroductionRequest[]>()
  #cancel: (() => void) | null = null
  #isRunning = false

  constructor(options: IntroductionRequestsOptions) {
    this.#options = options
  }

  start(): void {
    this.#isRunning = true
  }

  stop(): void {
    this.#isRunning = false
    this.#cancel?.()
  }

  /** A little later, for others may follow and the statement of the asker has to be there first. */
  add(to: HostId, wish: IntroductionRequest): void {
    const wishes = this.#waiting.get(to) ?? []
    if (wishes.length < mostWishes) wishes.push(wish)
    this.#waiting.set(to, wishes)
    if (!this.#isRunning || this.#cancel) return
    const { clock, gatherMs, guarded } = this.#options
    this.#cancel = clock.after(gatherMs, () => {
      this.#cancel = null
      guarded(() => this.#sendAll())
    })
  }

  #sendAll(): void {
    for (const [to, wishes] of this.#waiting) {
      for (let at = 0; at < wishes.length; at += wishesInLetter)
        this.#options.send(to, wishes.slice(at, at + wishesInLetter))
    }
    this.#waiting.clear()
  }
}
