// Signals that arrived before the letter that introduces their sender, since mail may arrive out of order. They are
// kept by tag until their punch attempt starts. The attempt then checks that they are genuine.

import { toHex } from '../../base/bytes.ts'
import { signalTag } from '../../letter/seal-signal.ts'

/** When full, the oldest is dropped. Each box has at most 8 kB. */
export const maxKeptSignals = 64
/** After this time a letter in transit is of no use any more. */
export const keepSignalsMs = 600_000

type KeptSignal = { readonly tag: string; readonly box: Uint8Array; readonly at: number }

export class EarlyPunchSignals {
  /** Oldest first. */
  #boxes: KeptSignal[] = []

  put(box: Uint8Array, now: number): void {
    const tag = signalTag(box)
    if (!tag) return
    this.#boxes = this.#boxes.filter(({ at }) => now - at < keepSignalsMs)
    if (this.#boxes.length >= maxKeptSignals) this.#boxes.shift()
    this.#boxes.push({ tag: toHex(tag), box, at: now })
  }

  /** Removes the signals of this tag and returns them, oldest first. */
  take(tag: Uint8Array, now: number): readonly Uint8Array[] {
    const wanted = toHex(tag)
    const taken = this.#boxes.filter(({ tag: other, at }) => other === wanted && now - at < keepSignalsMs)
    this.#boxes = this.#boxes.filter(({ tag: other }) => other !== wanted)
    return taken.map(({ box }) => box)
  }
}
