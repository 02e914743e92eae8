// A virtual clock for worlds that compose and parse real mails. Time stands still until that work is done,
// which takes many iterations of the event loop.

import { settled, VirtualClock } from '../virtual-clock.ts'

type Due = { readonly at: number }

export class WorldClock extends VirtualClock {
  readonly #due = new Set<Due>()
  #isMoving = false

  /** Rounds up to whole milliseconds, as the real clock does. */
  override after(delayMs: number, callback: () => void): () => void {
    const wholeMs = Math.max(0, Math.ceil(delayMs))
    const due = { at: this.now() + wholeMs }
    this.#due.add(due)
    const cancel = super.after(wholeMs, () => {
      this.#due.delete(due)
      callback()
    })
    return () => {
      this.#due.delete(due)
      cancel()
    }
  }

  /** Advances from timer to timer until `condition` holds (true) or `withinMs` have passed (false). */
  async until(condition: () => boolean, withinMs: number): Promise<boolean> {
    if (this.#isMoving) throw new Error('two are moving the clock at once')
    this.#isMoving = true
    try {
      return await this.#moveUntil(condition, this.now() + withinMs)
    } finally {
      this.#isMoving = false
    }
  }

  async #moveUntil(condition: () => boolean, end: number): Promise<boolean> {
    for (;;) {
      await settled()
      if (condition()) return true
      const next = Math.min(...[...this.#due].map(({ at }) => at))
      if (next > end) break
      await this.advance(next - this.now())
    }
    await this.advance(end - this.now())
    await settled()
    return condition()
  }

  async pass(byMs: number): Promise<void> {
    await this.until(() => false, byMs)
  }
}
