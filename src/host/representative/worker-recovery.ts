// What a worker finds in its mailbox after it was away may have gone to another worker meanwhile (A14), and its
// agent must not be answered twice. So the worker takes none of it: it asks its representative, which sends again what
// nobody else has. Pure: the clock comes as an argument.

import { toHex } from '../../base/bytes.ts'
import type { LetterId } from '../../letter/letter-types.ts'

/** Beyond it they are taken: an agent that gets two replies is better off than one that gets none. */
const mostAsked = 4_096

export class WorkerRecovery {
  /** Monotonic ms: since then it has been back, and not known yet to have seen all that was there. */
  #since: number | null = null
  #lostAt: number | null = null
  readonly #asked = new Set<string>()

  /** At the start nobody knows for how long it was away. */
  begin(now: number): void {
    this.#since = now
    this.#asked.clear()
  }

  noteLost(now: number): void {
    this.#lostAt ??= now
  }

  /** The mailbox is back. Who was away for less than `silenceMs` has not been taken for dead. */
  noteBack(now: number, silenceMs: number): void {
    if (this.#lostAt !== null && now - this.#lostAt >= silenceMs) this.begin(now)
    this.#lostAt = null
  }

  /** Whether to ask for this forward. `emptiedAt`: when nothing was left in the mailbox, monotonic ms; null before. */
  asksFor(id: LetterId, emptiedAt: number | null): boolean {
    if (this.#since === null) return false
    const name = toHex(id)
    // Sent again as we asked. That may be read before older ones, so that it does not end anything.
    if (this.#asked.has(name)) return false
    const isOver = emptiedAt !== null && emptiedAt >= this.#since
    if (isOver || this.#asked.size >= mostAsked) {
      this.#since = null
      this.#asked.clear()
      return false
    }
    this.#asked.add(name)
    return true
  }
}
