// How large a packet the path carries: found by padded probes and their answers alone, whatever routers say or fail to say
// (RFC 8899, DPLPMTUD). Sizes are of UDP payloads, IP and UDP headers not counted.
//
//      searching ──answer to the largest, or nothing left to try──> settled
//          ^  <── ten minutes later, something larger may fit ────────┘│
//          └──── large packets go missing while the link lives ────────┘ (black hole, §4.3; back to the base first)
//
// The search tries the largest first, which is right on most paths, and halves what is left of the usual sizes after that.

import type { Family } from '../base/endpoint.ts'

/** Carried by every path that is any use (IPv6 promises 1,232); used until more is known. */
export const basePacketBytes = 1200
/** What Ethernet's 1,500 bytes leave without and with IPv6. */
export const maxPacketBytes = { 4: 1472, 6: 1452 } as const satisfies Record<Family, number>

/** Below Ethernet: PPPoE, GRE, common VPNs and mobile networks, 6in4 in them, IPv6's least. */
const usualBytes = [1464, 1444, 1432, 1412, 1392, 1372, 1352, 1312, 1272, 1232]
/** A size whose probe goes missing so often is taken for too large (RFC 8899 §5.1.2, MAX_PROBES). */
const maxMisses = 3
const minAnswerMs = 250
const maxAnswerMs = 2_000
/** While large packets are sent, one of their size is answered at least so often. */
const confirmMs = 5_000
/** RFC 8899 §5.1.1, PMTU_RAISE_TIMER. */
const raiseMs = 600_000

/** A size on trial, how often it was sent, and how often it has gone missing. */
type Trial = { readonly bytes: number; sends: number; misses: number }
type Probe = { readonly number: number; readonly sentAt: number; readonly until: number }

type PathProbe = {
  readonly number: number
  /** Of the whole packet. */
  readonly bytes: number
  /** The last one has gone missing: a small question beside it tells whether the path is to blame, or its size. */
  readonly isRepeated: boolean
}

export class MtuDiscovery {
  #proven = basePacketBytes
  #largest: number = basePacketBytes
  /** Larger than proven and not known to fail, ascending; empty when settled. */
  #open: number[] = []
  #trial: Trial | null = null
  #probe: Probe | null = null
  #number = 0
  #answerMs = 1_000
  #raiseAt = Infinity
  /** A large packet was sent since one was last answered. */
  #hasSentLarge = false
  #answeredAt = -Infinity
  #heardAt = -Infinity

  constructor(now: number, family: Family) {
    this.restart(now, family)
  }

  /** Proven to arrive. */
  get packetBytes(): number {
    return this.#proven
  }

  /** Another path: nothing is known of it. */
  restart(now: number, family: Family): void {
    this.#proven = basePacketBytes
    this.#largest = maxPacketBytes[family]
    this.#search(now, Infinity)
  }

  /** When `next` is wanted; Infinity when never. */
  dueAt(): number {
    if (this.#probe) return this.#probe.until
    if (this.#trial || this.#open.length > 0) return -Infinity
    const confirmAt = this.#hasSentLarge ? this.#answeredAt + confirmMs : Infinity
    return Math.min(this.#raiseAt, confirmAt)
  }

  /** The probe to send now. Null when none is due. */
  next(now: number): PathProbe | null {
    if (now < this.dueAt()) return null
    if (this.#probe) this.#miss(now, this.#probe)
    if (now >= this.#raiseAt) this.#search(now, Infinity)
    this.#trial ??= this.#choose(now)
    if (!this.#trial) return null
    this.#number = (this.#number + 1) >>> 0
    this.#probe = { number: this.#number, sentAt: now, until: now + this.#answerMs }
    return { number: this.#number, bytes: this.#trial.bytes, isRepeated: ++this.#trial.sends > 1 }
  }

  /** The peer has received the probe of this number. */
  answered(now: number, number: number): void {
    const trial = this.#trial
    if (!trial || this.#probe?.number !== number) return
    this.#trial = null
    this.#probe = null
    this.#answeredAt = now
    this.#hasSentLarge = false
    if (trial.bytes <= this.#proven) return
    this.#proven = trial.bytes
    this.#open = this.#open.filter((bytes) => bytes > trial.bytes)
    this.#settle(now)
  }

  /** Something authentic came: the path lives, whatever its size. */
  hear(now: number): void {
    this.#heardAt = now
  }

  noteRoundTrip(ms: number): void {
    this.#answerMs = Math.min(Math.max(3 * ms, minAnswerMs), maxAnswerMs)
  }

  /** A packet of so many bytes was sent. */
  noteSent(bytes: number): void {
    if (bytes > basePacketBytes) this.#hasSentLarge = true
  }

  #miss(now: number, { sentAt }: Probe): void {
    const trial = this.#trial
    this.#probe = null
    // Where nothing at all came meanwhile, the size is not to blame.
    if (!trial || this.#heardAt <= sentAt || ++trial.misses < maxMisses) return
    this.#trial = null
    if (trial.bytes > this.#proven) {
      this.#open = this.#open.filter((bytes) => bytes < trial.bytes)
      this.#settle(now)
    } else {
      this.#proven = basePacketBytes
      this.#hasSentLarge = false
      this.#search(now, trial.bytes)
    }
  }

  #search(now: number, below: number): void {
    this.#trial = null
    this.#probe = null
    this.#raiseAt = Infinity
    this.#open = [...usualBytes, this.#largest]
      .filter((bytes) => bytes > this.#proven && bytes <= this.#largest && bytes < below)
      .sort((a, b) => a - b)
    this.#settle(now)
  }

  #settle(now: number): void {
    if (this.#open.length === 0 && this.#proven < this.#largest) this.#raiseAt = now + raiseMs
  }

  #choose(now: number): Trial | null {
    const last = this.#open.length - 1
    if (last >= 0) {
      const index = this.#open[last] === this.#largest ? last : last >> 1
      return { bytes: this.#open[index] as number, sends: 0, misses: 0 }
    }
    const isDue = this.#hasSentLarge && now >= this.#answeredAt + confirmMs
    return isDue ? { bytes: this.#proven, sends: 0, misses: 0 } : null
  }
}
