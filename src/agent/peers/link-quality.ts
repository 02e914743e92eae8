// Measures the quality of a link from its pings and datagrams.

import type { PingCounts } from '../../link/keepalive-pings.ts'

type RoundTrip = {
  /** Monotonic. */
  readonly at: number
  readonly ms: number
}

export type QualityReport = {
  /** Smoothed as in RFC 6298 §2. Null until a ping was answered. */
  readonly roundTripMs: number | null
  /** Mean deviation, as in RFC 6298 §2. Null until a ping was answered. */
  readonly jitterMs: number | null
  /** Share of unanswered pings, 0..1. Null until a ping was answered or lost. */
  readonly lossRate: number | null
  /** Application datagrams and their bytes. */
  readonly sent: Traffic
  readonly received: Traffic
  /** The latest round trips, oldest first. */
  readonly roundTrips: readonly RoundTrip[]
}

type Traffic = { readonly datagrams: number; readonly bytes: number }

/** When full, the oldest is dropped. */
export const maxRoundTrips = 60

export class LinkQuality {
  #roundTrips: RoundTrip[] = []
  #smoothedMs: number | null = null
  #deviationMs = 0
  readonly #sent = { datagrams: 0, bytes: 0 }
  readonly #received = { datagrams: 0, bytes: 0 }

  noteRoundTrip(at: number, ms: number): void {
    this.#roundTrips = [...this.#roundTrips.slice(1 - maxRoundTrips), { at, ms }]
    if (this.#smoothedMs === null) {
      this.#smoothedMs = ms
      this.#deviationMs = 0
    } else {
      this.#deviationMs += (Math.abs(this.#smoothedMs - ms) - this.#deviationMs) / 4
      this.#smoothedMs += (ms - this.#smoothedMs) / 8
    }
  }

  noteSent(bytes: number): void {
    this.#sent.datagrams++
    this.#sent.bytes += bytes
  }

  noteReceived(bytes: number): void {
    this.#received.datagrams++
    this.#received.bytes += bytes
  }

  report({ answered, lost }: PingCounts): QualityReport {
    const isMeasured = this.#smoothedMs !== null
    return {
      roundTripMs: this.#smoothedMs,
      jitterMs: isMeasured ? this.#deviationMs : null,
      lossRate: answered + lost === 0 ? null : lost / (answered + lost),
      sent: { ...this.#sent },
      received: { ...this.#received },
      roundTrips: this.#roundTrips,
    }
  }
}
