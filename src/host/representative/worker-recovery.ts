// After an absence a worker finds letters that another worker may have answered meanwhile (A14). No agent must be answered
// twice. So the worker takes none of these letters. It asks its representative, which sends those again that no other worker
// has. Pure: time is an argument.

import { toHex } from '../../base/bytes.ts'
import type { LetterId } from '../../letter/letter-types.ts'

/** Further letters are taken: two replies are better for an agent than none. */
const maxRequested = 4_096

export class WorkerRecovery {
  /** When the worker came back, in monotonic ms; null once it has seen all letters that waited then. */
  #since: number | null = null
  #lostAt: number | null = null
  readonly #requested = new Set<string>()

  /** Starts a recovery. Called at each start, when it is unknown how long the worker was away. */
  begin(now: number): void {
    this.#since = now
    this.#requested.clear()
  }

  noteLost(now: number): void {
    this.#lostAt ??= now
  }

  /** The mailbox is back. After less than `silenceMs` the worker did not count as dead, so no recovery is needed. */
  noteBack(now: number, silenceMs: number): void {
    if (this.#lostAt !== null && now - this.#lostAt >= silenceMs) this.begin(now)
    this.#lostAt = null
  }

  /** Whether to ask the representative for this letter. `emptiedAt`: when the mailbox was last empty, in monotonic ms; null
   *  before the first time. */
  shouldRequest(id: LetterId, emptiedAt: number | null): boolean {
    if (this.#since === null) return false
    const name = toHex(id)
    // The representative sent it again. Older letters may still wait in the mailbox, so the recovery goes on.
    if (this.#requested.has(name)) return false
    const isOver = emptiedAt !== null && emptiedAt >= this.#since
    if (isOver || this.#requested.size >= maxRequested) {
      this.#since = null
      this.#requested.clear()
      return false
    }
    this.#requested.add(name)
    return true
  }
}
