// Decides when a link pings, encodes its pings, and measures the round trip (C4). A silent peer is pinged:
//
//      quiet ──keepalive due, or a busy link silent for a second──> pinged ──no answer for a while──> disturbed
//        ^                                                            │                               │
//        └────────────────────── any authentic packet ────────────────┴───────────────────────────────┘
//
// An idle link costs one ping per keepalive interval. A link in use is suspected within three seconds of
// silence.

import { viewOf } from '../base/bytes.ts'

/** A link counts as busy for so long after a datagram in either direction. */
const busyMs = 5_000
/** On a busy link, so much silence causes a ping. */
const silenceMs = 1_000
/** Unanswered pings repeat at this gap, and at the slower one after `fastMs`. */
const fastGapMs = 300
const fastMs = 6_000
const slowGapMs = 1_000
/** Without an answer for so long, or for as many round trips, the path is suspected. */
const suspectMs = 1_500
const maxSuspectMs = 4_000
const suspectRoundTrips = 2.5
/** A timer that fires so late means that the computer slept. */
const sleptMs = 5_000
/**
 * Pings whose round trip can still be measured. An answer to an older one only shows that the peer is alive.
 */
const rememberedPings = 16

export type PingCounts = {
  readonly answered: number
  /** Too old for their answer to count. */
  readonly lost: number
}

export class KeepalivePings {
  #keepaliveMs: number
  readonly #lossMs: number
  /** By number modulo `rememberedPings`; NaN once answered. */
  readonly #sentAt = new Float64Array(rememberedPings).fill(Number.NaN)
  #count = 0
  #answered = 0
  #lost = 0
  #roundTripMs = 0
  #lastPingAt: number
  #receivedAt: number
  /** When the first ping went out since the last packet arrived; null while none is unanswered. */
  #unansweredSince: number | null = null
  #busyUntil = -Infinity
  /**
   * When a busy link checks for silence. It does not move with every datagram, so the timer need not be set
   * anew.
   */
  #checkAt = Infinity
  #isDisturbed = false

  constructor(now: number, keepaliveMs: number, lossMs: number) {
    this.#keepaliveMs = keepaliveMs
    this.#lossMs = lossMs
    this.#lastPingAt = now
    this.#receivedAt = now
  }

  set keepaliveMs(ms: number) {
    this.#keepaliveMs = ms
  }

  get isDisturbed(): boolean {
    return this.#isDisturbed
  }

  /** An authentic packet arrived. True when that ends a disturbance. */
  noteReceived(now: number): boolean {
    this.#receivedAt = now
    if (this.#unansweredSince === null) return false
    this.#unansweredSince = null
    this.#checkAt = now < this.#busyUntil ? now + silenceMs : Infinity
    const wasDisturbed = this.#isDisturbed
    this.#isDisturbed = false
    return wasDisturbed
  }

  /** A datagram was sent or received. */
  noteTraffic(now: number): void {
    this.#busyUntil = now + busyMs
    if (this.#checkAt === Infinity && this.#unansweredSince === null) this.#checkAt = now + silenceMs
  }

  lostAt(): number {
    return this.#receivedAt + this.#lossMs
  }

  /** When to call `advance`. */
  dueAt(): number {
    if (this.#unansweredSince === null) return Math.min(this.#lastPingAt + this.#keepaliveMs, this.#checkAt)
    const gapMs = this.#lastPingAt - this.#unansweredSince < fastMs ? fastGapMs : slowGapMs
    return Math.min(this.#lastPingAt + gapMs, this.#suspectAt(this.#unansweredSince))
  }

  /** What is due now. Time in which the computer slept does not count as silence: the peer is pinged first. */
  advance(now: number): { readonly ping: boolean; readonly disturbed: boolean } {
    if (now - this.dueAt() > sleptMs) {
      this.#receivedAt = now
      this.#unansweredSince = this.#isDisturbed ? now : null
      return { ping: true, disturbed: false }
    }
    if (this.#unansweredSince !== null) {
      const disturbed = now >= this.#suspectAt(this.#unansweredSince)
      if (disturbed) this.#isDisturbed = true
      return { ping: now >= this.dueAt(), disturbed }
    }
    if (now >= this.#checkAt) {
      const nextCheckAt = this.#receivedAt + silenceMs
      if (nextCheckAt <= now) return { ping: true, disturbed: false }
      this.#checkAt = nextCheckAt <= this.#busyUntil ? nextCheckAt : Infinity
    }
    return { ping: now >= this.dueAt(), disturbed: false }
  }

  /** The body of the next ping: its number, starting at 1. */
  nextBody(now: number): Uint8Array {
    this.#lastPingAt = now
    this.#unansweredSince ??= now
    this.#checkAt = Infinity
    this.#count++
    const slot = this.#count % rememberedPings
    if (!Number.isNaN(this.#sentAt[slot])) this.#lost++
    this.#sentAt[slot] = now
    const body = new Uint8Array(4)
    viewOf(body).setUint32(0, this.#count)
    return body
  }

  /** Milliseconds since the ping that this body answers; null when unknown. Each ping is measured once. */
  roundTripMs(now: number, body: Uint8Array): number | null {
    if (body.length !== 4) return null
    const number = viewOf(body).getUint32(0)
    if (number === 0 || number > this.#count || number <= this.#count - rememberedPings) return null
    const ms = now - (this.#sentAt[number % rememberedPings] as number)
    if (Number.isNaN(ms)) return null
    this.#sentAt[number % rememberedPings] = Number.NaN
    this.#answered++
    this.#roundTripMs = ms
    return ms
  }

  get counts(): PingCounts {
    return { answered: this.#answered, lost: this.#lost }
  }

  #suspectAt(since: number): number {
    if (this.#isDisturbed) return Infinity
    return since + Math.min(Math.max(suspectMs, suspectRoundTrips * this.#roundTripMs), maxSuspectMs)
  }
}
