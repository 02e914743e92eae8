// What of a peer's packets may reach udx-native, one guard a stream. The library trusts its peers: it keeps packets ahead
// of a gap without bound, however far ahead, and it is written in C. So every field is checked here, against what was
// seen to leave and arrive.

import { viewOf } from '../../base/bytes.ts'
import type { UdxPacket } from './stream-frame.ts'
import { udxTypes } from './udx-packet.ts'

/** Packets ahead of the first missing one; more are dropped, and come again. */
const maxPacketsAhead = 4096
/** As far back as an honest packet may be: a copy that comes late. */
const maxBehind = 65_536
/** Of udx-native: it sends at most 51 ranges in one packet. */
const maxRangeBytes = 512

export class UdxPacketFilter {
  /** One above the highest sequence number that left. */
  #sentEnd: number
  /** What we have acknowledged: the next sequence number wanted. */
  #wanted: number
  /** Sizes of accepted packets from `#wanted` on, by sequence number modulo the length; made when first needed. */
  #sizes: Uint16Array | null = null
  #bytesAhead = 0
  readonly #maxBytesAhead: () => number

  /** Both sequence numbers are the first to be used. `maxBytesAhead`: what the other has been allowed to send. */
  constructor(ownSeq: number, peerSeq: number, maxBytesAhead: () => number) {
    this.#sentEnd = ownSeq
    this.#wanted = peerSeq
    this.#maxBytesAhead = maxBytesAhead
  }

  /** A packet of our own on its way to the peer. */
  noteSent({ type, seq, ack }: UdxPacket): void {
    const end = type === udxTypes.data ? (seq + 1) >>> 0 : seq
    if (distance(this.#sentEnd, end) > 0) this.#sentEnd = end
    const advance = distance(this.#wanted, ack)
    if (advance <= 0) return
    const sizes = this.#sizes
    // Whatever we acknowledge was accepted before, so this loop is as long as the list at most.
    if (sizes)
      for (let i = 0; i < Math.min(advance, maxPacketsAhead); i++) this.#clear(sizes, this.#wanted + i)
    this.#wanted = ack
  }

  /** Counts it as received when true. */
  admits({ type, padding, seq, ack, payload }: UdxPacket): boolean {
    const unacknowledged = distance(ack, this.#sentEnd)
    if (unacknowledged < 0 || unacknowledged > maxBehind) return false
    const ahead = distance(this.#wanted, seq)
    if (ahead < -maxBehind || ahead > maxPacketsAhead) return false
    switch (type) {
      case udxTypes.state:
        return padding === 0 && payload.length === 0
      case udxTypes.selective:
        return padding === 0 && this.#areSoundRanges(ack, payload)
      case udxTypes.data:
        return padding < payload.length && this.#takes(seq, ahead, payload.length - padding)
      default:
        return false
    }
  }

  /** Ascending, each of at least one packet, between what is acknowledged and what was sent. */
  #areSoundRanges(ack: number, payload: Uint8Array): boolean {
    if (payload.length % 8 !== 0 || payload.length > maxRangeBytes) return false
    const view = viewOf(payload)
    let last = ack
    for (let at = 0; at < payload.length; at += 8) {
      const from = view.getUint32(at, true)
      const to = view.getUint32(at + 4, true)
      if (distance(last, from) < 0 || distance(from, to) <= 0) return false
      last = to
    }
    return distance(last, this.#sentEnd) >= 0
  }

  #takes(seq: number, ahead: number, length: number): boolean {
    if (ahead < 0) return true
    if (ahead >= maxPacketsAhead) return false
    this.#sizes ??= new Uint16Array(maxPacketsAhead)
    const slot = seq % maxPacketsAhead
    if (this.#sizes[slot] !== 0) return true
    // The one that is missing always comes in, or a full store would never empty.
    if (ahead > 0 && this.#bytesAhead + length > this.#maxBytesAhead()) return false
    this.#sizes[slot] = length
    this.#bytesAhead += length
    return true
  }

  #clear(sizes: Uint16Array, seq: number): void {
    const slot = (seq >>> 0) % maxPacketsAhead
    this.#bytesAhead -= sizes[slot] as number
    sizes[slot] = 0
  }
}

/** How far `to` is ahead of `from`, of two 32-bit numbers that wrap. */
function distance(from: number, to: number): number {
  return (to - from) | 0
}
