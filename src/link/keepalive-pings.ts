// When a link pings, what its pings say, and how long their answers took (C4). Silence is asked about:
//
//      quiet ──keepalive due, or silent for a second while games talk──> asking ──no answer for a while──> disturbed
//        ^                                                                 │                                  │
//        └────────────────────────── anything authentic comes ─────────────┴──────────────────────────────────┘
//
// So an idle link costs one ping a keepalive, and one that a game uses is suspected within three seconds.

import { viewOf } from '../base/bytes.ts'

/** So long after a datagram, either way, the next one is expected. */
const busyMs = 5_000
/** Silence that is worth a question then. */
const quietMs = 1_000
/** While nothing comes pings follow each other so fast, and after `fastMs` more slowly. */
const fastGapMs = 300
const fastMs = 6_000
const slowGapMs = 1_000
/** Without an answer for so long, or as many round trips, the path is suspected. */
const suspectMs = 1_500
const mostSuspectMs = 4_000
const suspectRoundTrips = 2.5
/** A timer so late was not late: the computer slept. */
const sleptMs = 5_000
/** Pings whose answer is still measured; an answer to an older one is only a sign of life. */
const remembered = 16

export type PingCounts = {
  readonly answered: number
  /** So old that their answer does not count any more. */
  readonly lost: number
}

export class KeepalivePings {
  #keepaliveMs: number
  readonly #lossMs: number
  /** NaN once answered. */
  readonly #sentAt = new Float64Array(remembered).fill(Number.NaN)
  #count = 0
  #answered = 0
  #lost = 0
  #roundTripMs = 0
  #latestAt: number
  #heardAt: number
  /** The first ping since something was heard. */
  #askedAt: number | null = null
  #busyUntil = -Infinity
  /** When a busy link looks whether it has heard something; does not move with every datagram, lest the timer did. */
  #lookAt = Infinity
  #isDisturbed = false

  constructor(now: number, keepaliveMs: number, lossMs: number) {
    this.#keepaliveMs = keepaliveMs
    this.#lossMs = lossMs
    this.#latestAt = now
    this.#heardAt = now
  }

  set keepaliveMs(ms: number) {
    this.#keepaliveMs = ms
  }

  get isDisturbed(): boolean {
    return this.#isDisturbed
  }

  /** Something authentic came. True when that ends a disturbance. */
  hear(now: number): boolean {
    this.#heardAt = now
    if (this.#askedAt === null) return false
    this.#askedAt = null
    this.#lookAt = now < this.#busyUntil ? now + quietMs : Infinity
    const wasDisturbed = this.#isDisturbed
    this.#isDisturbed = false
    return wasDisturbed
  }

  /** A datagram went either way. */
  noteTraffic(now: number): void {
    this.#busyUntil = now + busyMs
    if (this.#lookAt === Infinity && this.#askedAt === null) this.#lookAt = now + quietMs
  }

  lostAt(): number {
    return this.#heardAt + this.#lossMs
  }

  /** When `advance` is wanted. */
  dueAt(): number {
    if (this.#askedAt === null) return Math.min(this.#latestAt + this.#keepaliveMs, this.#lookAt)
    const gapMs = this.#latestAt - this.#askedAt < fastMs ? fastGapMs : slowGapMs
    return Math.min(this.#latestAt + gapMs, this.#suspectAt(this.#askedAt))
  }

  /** What is due now. Time in which the computer slept does not count as silence: the other is asked first. */
  advance(now: number): { readonly ping: boolean; readonly disturbed: boolean } {
    if (now - this.dueAt() > sleptMs) {
      this.#heardAt = now
      this.#askedAt = this.#isDisturbed ? now : null
      return { ping: true, disturbed: false }
    }
    if (this.#askedAt !== null) {
      const disturbed = now >= this.#suspectAt(this.#askedAt)
      if (disturbed) this.#isDisturbed = true
      return { ping: now >= this.dueAt(), disturbed }
    }
    if (now >= this.#lookAt) {
      const nextLookAt = this.#heardAt + quietMs
      if (nextLookAt <= now) return { ping: true, disturbed: false }
      this.#lookAt = nextLookAt <= this.#busyUntil ? nextLookAt : Infinity
    }
    return { ping: now >= this.dueAt(), disturbed: false }
  }

  /** The body of the next ping: its number, from 1. */
  next(now: number): Uint8Array {
    this.#latestAt = now
    this.#askedAt ??= now
    this.#lookAt = Infinity
    this.#count++
    const slot = this.#count % remembered
    if (!Number.isNaN(this.#sentAt[slot])) this.#lost++
    this.#sentAt[slot] = now
    const body = new Uint8Array(4)
    viewOf(body).setUint32(0, this.#count)
    return body
  }

  /** Milliseconds since the ping this body answers, or null; each is measured once. */
  roundTripMs(now: number, body: Uint8Array): number | null {
    if (body.length !== 4) return null
    const number = viewOf(body).getUint32(0)
    if (number === 0 || number > this.#count || number <= this.#count - remembered) return null
    const ms = now - (this.#sentAt[number % remembered] as number)
    if (Number.isNaN(ms)) return null
    this.#sentAt[number % remembered] = Number.NaN
    this.#answered++
    this.#roundTripMs = ms
    return ms
  }

  get counts(): PingCounts {
    return { answered: this.#answered, lost: this.#lost }
  }

  #suspectAt(askedAt: number): number {
    if (this.#isDisturbed) return Infinity
    return askedAt + Math.min(Math.max(suspectMs, suspectRoundTrips * this.#roundTripMs), mostSuspectMs)
  }
}
