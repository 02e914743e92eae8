// Limits the number of streams and the memory of all of them together. Every stream has a window of `initialCreditBytes`.
// A stream that is read fast gets a larger window, up to `maxWindowBytes`, within the limits per peer and in total.

import { initialCreditBytes } from './flow-control-records.ts'

export const maxStreamsPerPeer = 128
const maxStreams = 512
export const maxWindowBytes = 4 * 1024 * 1024
const maxExtraBytesPerPeer = 8 * 1024 * 1024
const maxExtraBytes = 32 * 1024 * 1024

type PeerUsage = { streams: number; extra: number }

export class StreamBudget {
  /** By peer ID. Contains only peers that have streams. */
  readonly #usages = new Map<string, PeerUsage>()
  #streams = 0
  #extra = 0

  /** Null at a limit. Call `close` when the stream is over. */
  take(peerId: string): Allowance | null {
    const usage = this.#usages.get(peerId) ?? { streams: 0, extra: 0 }
    if (usage.streams >= maxStreamsPerPeer || this.#streams >= maxStreams) return null
    this.#usages.set(peerId, usage)
    usage.streams++
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
          maxExtraBytesPerPeer - usage.extra,
          maxExtraBytes - this.#extra,
        )
        if (!isOpen || more <= 0) return 0
        extra += more
        usage.extra += more
        this.#extra += more
        return more
      },
      close: () => {
        if (!isOpen) return
        isOpen = false
        this.#extra -= extra
        usage.extra -= extra
        this.#streams--
        if (--usage.streams === 0) this.#usages.delete(peerId)
      },
    }
  }
}

export interface Allowance {
  /** The memory that this stream may use. */
  readonly windowBytes: number
  /** Doubles the window within the limits. Returns by how many bytes it grew. */
  grow(): number
  close(): void
}
