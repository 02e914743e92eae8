// Signals that came before the letter that introduces who sent them: mail loses its order. They wait for their
// attempt to begin, by its tag; whether they are genuine is seen then.

import { toHex } from '../../base/bytes.ts'
import { signalTag } from '../../letter/seal-signal.ts'

/** Boxes that wait, at most; beyond it the oldest goes. Each is at most 8 kB. */
export const mostKept = 64
/** As long as a letter may be on its way and still be of use. */
export const keptMs = 600_000

type KeptSignal = { readonly tag: string; readonly box: Uint8Array; readonly at: number }

export class EarlyPunchSignals {
  /** Oldest first. */
  #boxes: KeptSignal[] = []

  put(box: Uint8Array, now: number): void {
    const tag = signalTag(box)
    if (!tag) return
    this.#boxes = this.#boxes.filter(({ at }) => now - at < keptMs)
    if (this.#boxes.length >= mostKept) this.#boxes.shift()
    this.#boxes.push({ tag: toHex(tag), box, at: now })
  }

  /** In the order they came; they are not kept. */
  take(tag: Uint8Array, now: number): readonly Uint8Array[] {
    const wanted = toHex(tag)
    const taken = this.#boxes.filter(({ tag: other, at }) => other === wanted && now - at < keptMs)
    this.#boxes = this.#boxes.filter(({ tag: other }) => other !== wanted)
    return taken.map(({ box }) => box)
  }
}
