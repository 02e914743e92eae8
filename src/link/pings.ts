// When a link pings, what its pings say, and how long their answers took (mission C4).

import { viewOf } from '../base/bytes.ts'

/** While the other is silent pings go out faster: this many between half of `lossMs` and all of it. */
const probes = 6
/** Pings whose answer is still measured; an answer to an older one is only a sign of life. */
const remembered = 4

export type PingCounts = {
  readonly answered: number
  /** So old that their answer does not count any more. */
  readonly lost: number
}

export class Pings {
  readonly #keepaliveMs: number
  readonly #lossMs: number
  /** NaN once answered. */
  readonly #sentAt = new Float64Array(remembered).fill(Number.NaN)
  #count = 0
  #answered = 0
  #lost = 0
  #latestAt: number
  #heardAt: number

  constructor(now: number, keepaliveMs: number, lossMs: number) {
    this.#keepaliveMs = keepaliveMs
    this.#lossMs = lossMs
    this.#latestAt = now
    this.#heardAt = now
  }

  /** Something authentic came. */
  hear(now: number): void {
    this.#heardAt = now
  }

  lostAt(): number {
    return this.#heardAt + this.#lossMs
  }

  dueAt(): number {
    const half = this.#lossMs / 2
    const probeAt = Math.max(this.#heardAt + half, this.#latestAt + half / probes)
    return Math.min(this.#latestAt + this.#keepaliveMs, probeAt)
  }

  /** The body of the next ping: its number, from 1. */
  next(now: number): Uint8Array {
    this.#latestAt = now
    this.#count++
    if (!Number.isNaN(this.#sentAt[this.#count % remembered])) this.#lost++
    this.#sentAt[this.#count % remembered] = now
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
    return ms
  }

  get counts(): PingCounts {
    return { answered: this.#answered, lost: this.#lost }
  }
}
