// Decides which packets of a peer reach udx-native. Each stream has its own filter. The library trusts its peers: it
// keeps packets ahead of a gap without limit, and it is written in C. So we check every field here against the packets
// sent and received so far.

import { viewOf } from '../../base/bytes.ts'
import type { UdxPacket } from './stream-frame.ts'
import { udxTypes } from './udx-packet.ts'

/** Packets ahead of the first missing one. More are dropped, and the peer repeats them. */
const maxPacketsAhead = 4096
/** How far back a late copy of a correct packet may be. */
const maxBehind = 65_536
/** udx-native sends at most 51 ranges of 8 bytes in one packet. */
const maxRangeBytes = 512

export class UdxPacketFilter {
  /** One above the highest sequence number that we have sent. */
  #sentEnd: number
  /** The next sequence number that we expect. All before it are acknowledged. */
  #expectedSeq: number
  /** Sizes of accepted packets from `#expectedSeq` on, by sequence number modulo the length. Created at first use. */
  #sizes: Uint16Array | null = null
  #bytesAhead = 0
  readonly #maxBytesAhead: () => number

  /** Both sequence numbers are the first of each side. `maxBytesAhead`: how much the other side may send now. */
  constructor(ownSeq: number, peerSeq: number, maxBytesAhead: () => number) {
    this.#sentEnd = ownSeq
    this.#expectedSeq = peerSeq
    this.#maxBytesAhead = maxBytesAhead
  }

  /** Records one of our own packets to the peer. */
  noteSent({ type, seq, ack }: UdxPacket): void {
    const end = type === udxTypes.data ? (seq + 1) >>> 0 : seq
    if (distance(this.#sentEnd, end) > 0) this.#sentEnd = end
    const advance = distance(this.#expectedSeq, ack)
    if (advance <= 0) return
    const sizes = this.#sizes
    // We acknowledge only accepted packets, so the loop never needs to go further than the list.
    if (sizes)
      for (let i = 0; i < Math.min(advance, maxPacketsAhead); i++) this.#clear(sizes, this.#expectedSeq + i)
    this.#expectedSeq = ack
  }

  /** Returns true for a valid packet and then records it as received. */
  accepts({ type, padding, seq, ack, payload }: UdxPacket): boolean {
    const unacknowledged = distance(ack, this.#sentEnd)
    if (unacknowledged < 0 || unacknowledged > maxBehind) return false
    const ahead = distance(this.#expectedSeq, seq)
    if (ahead < -maxBehind || ahead > maxPacketsAhead) return false
    switch (type) {
      case udxTypes.state:
        return padding === 0 && payload.length === 0
      case udxTypes.selective:
        return padding === 0 && this.#areValidRanges(ack, payload)
      case udxTypes.data:
        return padding < payload.length && this.#acceptData(seq, ahead, payload.length - padding)
      default:
        return false
    }
  }

  /** Ranges must be ascending and not empty, and lie between the acknowledged and the sent packets. */
  #areValidRanges(ack: number, payload: Uint8Array): boolean {
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

  #acceptData(seq: number, ahead: number, length: number): boolean {
    if (ahead < 0) return true
    if (ahead >= maxPacketsAhead) return false
    this.#sizes ??= new Uint16Array(maxPacketsAhead)
    const slot = seq % maxPacketsAhead
    if (this.#sizes[slot] !== 0) return true
    // Always accept the missing packet, otherwise a full buffer could never drain.
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

/** How far `to` is ahead of `from`. Both are 32-bit numbers that wrap around. */
function distance(from: number, to: number): number {
  return (to - from) | 0
}
