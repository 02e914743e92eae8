// Simulated networks: a segment (the Internet, a LAN) has members, and possibly a gateway to another segment. A
// NAT is a member of its outer segment and the gateway of its inner one, so NATs can be nested.

import type { Clock } from '../../../src/base/clock.ts'
import type { Endpoint } from '../../../src/base/endpoint.ts'

export type Datagram = {
  readonly from: Endpoint
  readonly to: Endpoint
  readonly bytes: Uint8Array
  /** Remaining hops; unlimited by default. */
  readonly ttl?: number
}

export interface Member {
  receive(datagram: Datagram): void
}

export interface Gateway {
  forward(datagram: Datagram): void
}

export type SegmentOptions = {
  readonly clock: Clock
  readonly random: () => number
  /** One-way delay, drawn for each datagram, so that datagrams may overtake each other. */
  readonly delayMs: readonly [least: number, most: number]
  /** Share of lost datagrams, 0..1. */
  readonly loss: number
  /** As on a cable: no datagram overtakes another, and each follows the last within this time. */
  readonly spacingMs?: number
  /** Number of routers between two members; default 1. */
  readonly hops?: number
}

export class Segment {
  readonly #options: SegmentOptions
  readonly #members = new Map<string, Member>()
  #lastArrivalAt = 0
  gateway: Gateway | null = null
  /** Is called with every datagram. */
  tap: ((datagram: Datagram) => void) | null = null

  constructor(options: SegmentOptions) {
    this.#options = options
  }

  join(address: string, member: Member): void {
    if (this.#members.has(address)) throw new Error(`${address} is taken`)
    this.#members.set(address, member)
  }

  leave(address: string): void {
    this.#members.delete(address)
  }

  /** Sends to the member with this address, or to the gateway if there is no such member. */
  send(datagram: Datagram): void {
    const member = this.#members.get(datagram.to.address)
    const { gateway } = this
    if (member) this.#carry(datagram, () => member.receive(datagram))
    else if (gateway) this.#carry(datagram, () => gateway.forward(datagram))
  }

  #carry(datagram: Datagram, arrive: () => void): void {
    this.tap?.(datagram)
    const { clock, random, delayMs, loss, spacingMs, hops = 1 } = this.#options
    const [least, most] = delayMs
    let delay = least + random() * (most - least)
    if (spacingMs !== undefined) {
      const queued = this.#lastArrivalAt - clock.now()
      if (queued >= delay) delay = queued + random() * spacingMs
      this.#lastArrivalAt = clock.now() + delay
    }
    if (random() >= loss && (datagram.ttl ?? hops) >= hops) clock.after(delay, arrive)
  }
}

/** A home network: one cable. Datagrams sent together are spread over about a millisecond. */
export function createLan(clock: Clock, random: () => number): Segment {
  return new Segment({ clock, random, delayMs: [0.2, 1], loss: 0, spacingMs: 0.1 })
}

export function createInternet(clock: Clock, random: () => number, loss: number): Segment {
  return new Segment({ clock, random, delayMs: [15, 60], loss, hops: 10 })
}
