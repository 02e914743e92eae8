// Networks as seen by a datagram: a segment (the internet, a LAN) with members, perhaps a gateway to
// another segment. A NAT is a member of its outer segment and the gateway of its inner one, so NATs nest.

import type { Clock } from '../../../src/base/clock.ts'
import type { Endpoint } from '../../../src/base/endpoint.ts'

export type Datagram = { readonly from: Endpoint; readonly to: Endpoint; readonly bytes: Uint8Array }

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
}

export class Segment {
  readonly #options: SegmentOptions
  readonly #members = new Map<string, Member>()
  gateway: Gateway | null = null
  /** Datagrams carried, lost ones included. */
  carried = 0

  constructor(options: SegmentOptions) {
    this.#options = options
  }

  join(address: string, member: Member): void {
    if (this.#members.has(address)) throw new Error(`${address} is taken`)
    this.#members.set(address, member)
  }

  send(datagram: Datagram): void {
    const member = this.#members.get(datagram.to.address)
    if (!member) {
      this.gateway?.forward(datagram)
      return
    }
    const { clock, random, delayMs, loss } = this.#options
    this.carried++
    const [least, most] = delayMs
    const delay = least + random() * (most - least)
    if (random() >= loss) clock.after(delay, () => member.receive(datagram))
  }
}
