// How many streams there may be, and how much all of them together may make us hold. Every stream may hold
// `initialCreditBytes`; one that is read fast gets more, up to `maxWindowBytes`, while there is some left for its peer and
// for all.

import { initialCreditBytes } from './flow-control-records.ts'

export const maxStreamsPerPeer = 128
const maxStreams = 512
export const maxWindowBytes = 4 * 1024 * 1024
const extraBytesPerPeer = 8 * 1024 * 1024
const extraBytes = 32 * 1024 * 1024

type Share = { streams: number; extra: number }

export class StreamBudget {
  /** Only of peers that have streams. */
  readonly #shares = new Map<string, Share>()
  #streams = 0
  #extra = 0

  /** Null at a bound. Give it back by `close`. */
  take(peerId: string): Allowance | null {
    const share = this.#shares.get(peerId) ?? { streams: 0, extra: 0 }
    if (share.streams >= maxStreamsPerPeer || this.#streams >= maxStreams) return null
    this.#shares.set(peerId, share)
    share.streams++
    this.#streams++
    let extra = 0
    let isOpen = true
    return {
      get windowBytes() {
        return initialCreditBytes + extra
      },
      grow: () => {
        const more = Math.min(
          initialCreditBytes + extra,
          maxWindowBytes - initialCreditBytes - extra,
          extraBytesPerPeer - share.extra,
          extraBytes - this.#extra,
        )
        if (!isOpen || more <= 0) return 0
        extra += more
        share.extra += more
        this.#extra += more
        return more
      },
      close: () => {
        if (!isOpen) return
        isOpen = false
        this.#extra -= extra
        share.extra -= extra
        this.#streams--
        if (--share.streams === 0) this.#shares.delete(peerId)
      },
    }
  }
}

export interface Allowance {
  /** What this stream may make us hold. */
  readonly windowBytes: number
  /** Doubles the window if it may; by how many bytes it grew. */
  grow(): number
  close(): void
}
