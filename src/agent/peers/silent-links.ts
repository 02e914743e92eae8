// Links whose peer has fallen silent: they look for another way by themselves, and when that takes long the host is
// asked, too, so that both sides learn by mail where the other is now.

import type { Clock } from '../../base/clock.ts'
import type { ConnectionTable, Entry } from './connection-table.ts'

/** What can be done without mail is done by then. */
export const askAfterMs = 5_000

export class SilentLinks {
  readonly #clock: Clock
  readonly #book: ConnectionTable
  readonly #onAskAgain: () => void

  constructor(clock: Clock, book: ConnectionTable, onAskAgain: () => void) {
    this.#clock = clock
    this.#book = book
    this.#onAskAgain = onAskAgain
  }

  begin(entry: Entry): void {
    entry.disturbedAt = this.#clock.now()
    entry.cancelAsking()
    entry.cancelAsking = this.#clock.after(askAfterMs, () => {
      // Of several links with one peer the newest counts.
      if (this.#book.linkWith(entry.peerConnection.peer.id) !== entry) return
      entry.hasAsked = true
      this.#onAskAgain()
    })
  }

  /** How long it was, ms. */
  end(entry: Entry): number {
    entry.cancelAsking()
    entry.hasAsked = false
    const lastedMs = this.#clock.now() - (entry.disturbedAt ?? this.#clock.now())
    entry.disturbedAt = null
    return lastedMs
  }
}
