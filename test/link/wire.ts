// Two links and the unreliable network between them, seeded, on virtual time.

import type { Crypto, KeyPair } from '../../src/base/crypto.ts'
import type { Endpoint } from '../../src/base/endpoint.ts'
import { createLink, type Link, type LinkOptions } from '../../src/link/link.ts'
import type { LinkAction, LinkEvent } from '../../src/link/link-events.ts'
import { seededCrypto, seededRandom } from '../harness/seeded-crypto.ts'

/**
 * The source of a packet of `side` to `to`, as the other side sees it; null when the packet does not arrive.
 */
export type Routing = (side: Side, to: Endpoint) => Endpoint | null

export type Side = 'opener' | 'responder'

export type Conditions = {
  readonly loss?: number
  readonly duplication?: number
  /** Bounds of a packet's delay; unequal bounds reorder packets. */
  readonly delayMs?: readonly [number, number]
  /** Larger packets are lost (UDP payload). */
  readonly maxBytes?: number
}

export const endpoints: Readonly<Record<Side, Endpoint>> = {
  opener: { address: '203.0.113.1', port: 4001 },
  responder: { address: '203.0.113.2', port: 4002 },
}

export function otherSide(side: Side): Side {
  return side === 'opener' ? 'responder' : 'opener'
}

/** The keys that two peers share before a link. Each call of `options` is for one link. */
export class PeerPair {
  readonly crypto: Crypto
  readonly identities: Readonly<Record<Side, KeyPair>>
  readonly #sessions: Readonly<Record<Side, KeyPair>>
  readonly #keys: Readonly<Record<Side, { sendKey: Uint8Array; receiveKey: Uint8Array }>>
  readonly #tag: Uint8Array

  constructor(seed: number) {
    const crypto = seededCrypto(seed)
    this.crypto = crypto
    this.identities = { opener: crypto.signKeyPair(), responder: crypto.signKeyPair() }
    this.#sessions = { opener: crypto.boxKeyPair(), responder: crypto.boxKeyPair() }
    this.#tag = crypto.randomBytes(8)
    const [there, back] = [crypto.randomBytes(32), crypto.randomBytes(32)]
    this.#keys = {
      opener: { sendKey: there, receiveKey: back },
      responder: { sendKey: back, receiveKey: there },
    }
  }

  options(side: Side, now = 0, changes: Partial<LinkOptions> = {}): LinkOptions {
    const other = otherSide(side)
    return {
      crypto: this.crypto,
      role: side,
      tag: this.#tag,
      keys: this.#keys[side],
      identity: this.identities[side],
      peerId: this.identities[other].publicKey,
      sessionKeys: { mine: this.#sessions[side].publicKey, theirs: this.#sessions[other].publicKey },
      remote: endpoints[other],
      now,
      ...changes,
    }
  }
}

export type SentPacket = {
  readonly from: Side
  readonly at: number
  readonly to: Endpoint
  readonly bytes: Uint8Array
}

export class Wire {
  now = 0
  conditions: Conditions
  /** By default every endpoint leads to the other side. */
  routing: Routing = (side) => endpoints[side]
  readonly links: Record<Side, Link>
  readonly events: Record<Side, LinkEvent[]> = { opener: [], responder: [] }
  readonly eventTimes: Record<Side, [at: number, type: LinkEvent['type']][]> = { opener: [], responder: [] }
  /** Every packet sent, lost or not. */
  readonly sent: SentPacket[] = []
  readonly #random: () => number
  #inTransit: {
    readonly at: number
    readonly to: Side
    readonly from: Endpoint
    readonly bytes: Uint8Array
  }[] = []

  constructor(seed: number, conditions: Conditions, opener: LinkOptions, responder: LinkOptions) {
    this.#random = seededRandom(seed)
    this.conditions = conditions
    this.links = { opener: createLink(opener), responder: createLink(responder) }
  }

  /** Performs the actions of a link. */
  perform(side: Side, actions: readonly LinkAction[] | 'not-open' | 'too-big'): void {
    if (typeof actions === 'string') throw new Error(`refused: ${actions}`)
    for (const action of actions) {
      if (action.type === 'event') {
        this.events[side].push(action.event)
        this.eventTimes[side].push([this.now, action.event.type])
      } else this.#transmit(side, action)
    }
  }

  send(side: Side, bytes: Uint8Array): void {
    this.perform(side, this.links[side].sendDatagram(this.now, bytes))
  }

  runFor(ms: number): void {
    const end = this.now + ms
    for (;;) {
      const next = Math.min(
        ...this.#inTransit.map((packet) => packet.at),
        this.links.opener.nextTimeout() ?? Infinity,
        this.links.responder.nextTimeout() ?? Infinity,
      )
      if (next > end) break
      this.now = Math.max(this.now, next)
      this.#step()
    }
    this.now = end
  }

  datagrams(side: Side): Uint8Array[] {
    return this.events[side].flatMap((event) => (event.type === 'datagram' ? [event.bytes] : []))
  }

  has(side: Side, type: LinkEvent['type']): boolean {
    return this.events[side].some((event) => event.type === type)
  }

  closeReason(side: Side): string | undefined {
    return this.events[side].flatMap((event) => (event.type === 'closed' ? [event.reason] : []))[0]
  }

  /** A third party delivers a packet to `to` now, with the source `from`. */
  inject(to: Side, from: Endpoint, bytes: Uint8Array): void {
    this.perform(to, this.links[to].handleDatagram(this.now, bytes.slice(), from))
  }

  /** When events of this type were emitted. */
  timesOf(side: Side, type: LinkEvent['type']): number[] {
    return this.eventTimes[side].flatMap(([at, emitted]) => (emitted === type ? [at] : []))
  }

  #step(): void {
    const arrived = this.#inTransit.filter((packet) => packet.at <= this.now)
    this.#inTransit = this.#inTransit.filter((packet) => packet.at > this.now)
    for (const { to, bytes, from } of arrived)
      this.perform(to, this.links[to].handleDatagram(this.now, bytes, from))
    for (const side of ['opener', 'responder'] as const) {
      const due = this.links[side].nextTimeout()
      if (due !== null && due <= this.now) this.perform(side, this.links[side].handleTimeout(this.now))
    }
  }

  #transmit(from: Side, { to, bytes }: { readonly to: Endpoint; readonly bytes: Uint8Array }): void {
    this.sent.push({ from, at: this.now, to, bytes })
    const { loss = 0, duplication = 0, delayMs = [20, 20], maxBytes = Infinity } = this.conditions
    if (bytes.length > maxBytes) return
    const source = this.routing(from, to)
    if (!source) return
    const copies = this.#random() < duplication ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      if (this.#random() < loss) continue
      const at = this.now + delayMs[0] + this.#random() * (delayMs[1] - delayMs[0])
      this.#inTransit.push({ at, to: otherSide(from), from: source, bytes: bytes.slice() })
    }
  }
}

/** A wire between two links that share keys. */
export function wireBetween(
  seed: number,
  conditions: Conditions = {},
  changes: Partial<LinkOptions> = {},
): Wire {
  const pair = new PeerPair(seed)
  return new Wire(seed, conditions, pair.options('opener', 0, changes), pair.options('responder', 0, changes))
}
