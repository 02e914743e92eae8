// Finds how large a packet the path carries, by padded probes and their answers only; ICMP messages are not
// used (RFC 8899, DPLPMTUD). Sizes are of UDP payloads, without IP and UDP headers.
//
//      searching ──answer to the largest, or nothing left to try──> settled
//          ^  <── ten minutes later: try larger sizes ─────────────────┘│
//          └──── large packets are lost while small ones arrive ────────┘ (black hole, §4.3; first back to the base)
//
// The search tries the largest size first, which is right on most paths. After that it halves the list of
// common sizes.

import type { Family } from '../base/endpoint.ts'

/** Every usable path carries this (IPv6 guarantees 1,232). Used until more is known. */
export const basePacketBytes = 1200
/** Ethernet's 1,500 bytes without IP and UDP headers. */
export const maxPacketBytes = { 4: 1472, 6: 1452 } as const satisfies Record<Family, number>

/**
 * Common sizes below Ethernet's: PPPoE, GRE, common VPNs, mobile networks, 6in4 inside them, the IPv6 minimum.
 */
const commonBytes = [1464, 1444, 1432, 1412, 1392, 1372, 1352, 1312, 1272, 1232]
/** A size whose probe is lost so often counts as too large (RFC 8899 §5.1.2, MAX_PROBES). */
const maxLosses = 3
const minTimeoutMs = 250
const maxTimeoutMs = 2_000
/** While large packets are sent, their size is confirmed at least this often. */
const confirmMs = 5_000
/** RFC 8899 §5.1.1, PMTU_RAISE_TIMER. */
const raiseMs = 600_000

/** A size being probed, how many probes were sent, and how many were lost. */
type Trial = { readonly bytes: number; sends: number; losses: number }
type Probe = { readonly number: number; readonly sentAt: number; readonly until: number }

type MtuProbe = {
  readonly number: number
  /** Size of the whole packet. */
  readonly bytes: number
  /**
   * The previous probe of this size was lost. A ping beside this one shows whether the path or the size is at
   * fault.
   */
  readonly isRepeated: boolean
}

export class MtuDiscovery {
  #proven = basePacketBytes
  #largest: number = basePacketBytes
  /** Candidate sizes: larger than proven and not known to fail, ascending. Empty when settled. */
  #candidateBytes: number[] = []
  #trial: Trial | null = null
  #probe: Probe | null = null
  #number = 0
  #timeoutMs = 1_000
  #raiseAt = Infinity
  /** A large packet was sent since the last answered probe. */
  #hasSentLarge = false
  #answeredAt = -Infinity
  #receivedAt = -Infinity

  constructor(now: number, family: Family) {
    this.restart(now, family)
  }

  /** The largest size proven to arrive. */
  get packetBytes(): number {
    return this.#proven
  }

  /** Starts anew: nothing is known of another path. */
  restart(now: number, family: Family): void {
    this.#proven = basePacketBytes
    this.#largest = maxPacketBytes[family]
    this.#search(now, Infinity)
  }

  /** When to call `nextProbe`; Infinity for never. */
  dueAt(): number {
    if (this.#probe) return this.#probe.until
    if (this.#trial || this.#candidateBytes.length > 0) return -Infinity
    const confirmAt = this.#hasSentLarge ? this.#answeredAt + confirmMs : Infinity
    return Math.min(this.#raiseAt, confirmAt)
  }

  /** The probe to send now; null when none is due. */
  nextProbe(now: number): MtuProbe | null {
    if (now < this.dueAt()) return null
    if (this.#probe) this.#lose(now, this.#probe)
    if (now >= this.#raiseAt) this.#search(now, Infinity)
    this.#trial ??= this.#chooseTrial(now)
    if (!this.#trial) return null
    this.#number = (this.#number + 1) >>> 0
    this.#probe = { number: this.#number, sentAt: now, until: now + this.#timeoutMs }
    return { number: this.#number, bytes: this.#trial.bytes, isRepeated: ++this.#trial.sends > 1 }
  }

  /** The peer received the probe of this number. */
  handleAnswer(now: number, number: number): void {
    const trial = this.#trial
    if (!trial || this.#probe?.number !== number) return
    this.#trial = null
    this.#probe = null
    this.#answeredAt = now
    this.#hasSentLarge = false
    if (trial.bytes <= this.#proven) return
    this.#proven = trial.bytes
    this.#candidateBytes = this.#candidateBytes.filter((bytes) => bytes > trial.bytes)
    this.#settle(now)
  }

  /** An authentic packet arrived: the path works at some size. */
  noteReceived(now: number): void {
    this.#receivedAt = now
  }

  noteRoundTrip(ms: number): void {
    this.#timeoutMs = Math.min(Math.max(3 * ms, minTimeoutMs), maxTimeoutMs)
  }

  /** A packet of this size was sent. */
  noteSent(bytes: number): void {
    if (bytes > basePacketBytes) this.#hasSentLarge = true
  }

  #lose(now: number, { sentAt }: Probe): void {
    const trial = this.#trial
    this.#probe = null
    // If nothing at all arrived meanwhile, the path is at fault and not the size.
    if (!trial || this.#receivedAt <= sentAt || ++trial.losses < maxLosses) return
    this.#trial = null
    if (trial.bytes > this.#proven) {
      this.#candidateBytes = this.#candidateBytes.filter((bytes) => bytes < trial.bytes)
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
    this.#candidateBytes = [...commonBytes, this.#largest]
      .filter((bytes) => bytes > this.#proven && bytes <= this.#largest && bytes < below)
      .sort((a, b) => a - b)
    this.#settle(now)
  }

  #settle(now: number): void {
    if (this.#candidateBytes.length === 0 && this.#proven < this.#largest) this.#raiseAt = now + raiseMs
  }

  #chooseTrial(now: number): Trial | null {
    const last = this.#candidateBytes.length - 1
    if (last >= 0) {
      const index = this.#candidateBytes[last] === this.#largest ? last : last >> 1
      return { bytes: this.#candidateBytes[index] as number, sends: 0, losses: 0 }
    }
    const isDue = this.#hasSentLarge && now >= this.#answeredAt + confirmMs
    return isDue ? { bytes: this.#proven, sends: 0, losses: 0 } : null
  }
}
