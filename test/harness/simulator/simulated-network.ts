// Networks as seen by a datagram: a segment (the internet, a LAN) with members, perhaps a gateway to
// another segment. A NAT is a member of its outer segment and the gateway of its inner one, so NATs nest.

import type { Clock } from '../../../src/base/clock.ts'
import type { Endpoint } from '../../../src/base/endpoint.ts'

export type Datagram = {
  readonly from: Endpoint
  readonly to: Endpoint
  readonly bytes: Uint8Array
  /** Hops it may still go; as many as there are when left out. */
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
  /** One way, drawn anew for each datagram: those on a long way may overtake each other. */
  readonly delayMs: readonly [least: number, most: number]
  /** Part of the datagrams that never arrive, 0..1. */
  readonly loss: number
  /** As on a cable: none overtakes another, and each follows the last at most so much later. */
  readonly spacingMs?: number
  /** Routers between two members; 1 when left out. */
  readonly hops?: number
}

export class Segment {
  readonly #options: SegmentOptions
  readonly #members = new Map<string, Member>()
  #lastArrivalAt = 0
  gateway: Gateway | null = null
  /** Hears whatever is carried. */
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

  /** To the member with that address; to the gateway, if there is one, when nobody here has it. */
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

/** A network at home: one cable. What is sent at one instant spreads over about a millisecond. */
export function createLan(clock: Clock, random: () => number): Segment {
  return new Segment({ clock, random, delayMs: [0.2, 1], loss: 0, spacingMs: 0.1 })
}

export function createInternet(clock: Clock, random: () => number, loss: number): Segment {
  return new Segment({ clock, random, delayMs: [15, 60], loss, hops: 10 })
}
