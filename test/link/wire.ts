// Two links and the bad wire between them, seeded, on virtual time.

import type { Crypto, KeyPair } from '../../src/base/crypto.ts'
import type { Endpoint } from '../../src/base/endpoint.ts'
import { createLink, type Link, type LinkOptions } from '../../src/link/link.ts'
import type { LinkAction, LinkEvent } from '../../src/link/link-events.ts'
import { seededCrypto, seededRandom } from '../harness/seeded-crypto.ts'

/** Where a packet of `side`, sent to `to`, comes from as the other sees it; null when it does not arrive. */
export type Routing = (side: Side, to: Endpoint) => Endpoint | null

export type Side = 'opener' | 'responder'

export type Weather = {
  readonly loss?: number
  readonly duplication?: number
  /** Each packet takes between these; unequal bounds reorder. */
  readonly delayMs?: readonly [number, number]
  /** Larger packets are lost (UDP payload). */
  readonly mostBytes?: number
}

export const places: Readonly<Record<Side, Endpoint>> = {
  opener: { address: '203.0.113.1', port: 4001 },
  responder: { address: '203.0.113.2', port: 4002 },
}

export function otherSide(side: Side): Side {
  return side === 'opener' ? 'responder' : 'opener'
}

/** Everything two peers know of each other before a link; each call of `options` is for one link. */
export class Acquaintance {
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
      remote: places[other],
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
  weather: Weather
  /** Every endpoint leads to the other side when left out. */
  routing: Routing = (side) => places[side]
  readonly links: Record<Side, Link>
  readonly events: Record<Side, LinkEvent[]> = { opener: [], responder: [] }
  readonly toldAt: Record<Side, [at: number, type: LinkEvent['type']][]> = { opener: [], responder: [] }
  /** All that was ever sent, lost or not. */
  readonly sent: SentPacket[] = []
  readonly #random: () => number
  #flying: { readonly at: number; readonly to: Side; readonly from: Endpoint; readonly bytes: Uint8Array }[] =
    []

  constructor(seed: number, weather: Weather, opener: LinkOptions, responder: LinkOptions) {
    this.#random = seededRandom(seed)
    this.weather = weather
    this.links = { opener: createLink(opener), responder: createLink(responder) }
  }

  /** Performs what a link asked for. */
  perform(side: Side, actions: readonly LinkAction[] | 'not-open' | 'too-big'): void {
    if (typeof actions === 'string') throw new Error(`refused: ${actions}`)
    for (const action of actions) {
      if (action.type === 'event') {
        this.events[side].push(action.event)
        this.toldAt[side].push([this.now, action.event.type])
      } else this.#fly(side, action)
    }
  }

  send(side: Side, bytes: Uint8Array): void {
    this.perform(side, this.links[side].sendDatagram(this.now, bytes))
  }

  runFor(ms: number): void {
    const end = this.now + ms
    for (;;) {
      const next = Math.min(
        ...this.#flying.map((packet) => packet.at),
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

  /** Somebody on the way has a copy arrive at `to`, now, as from `from`. */
  inject(to: Side, from: Endpoint, bytes: Uint8Array): void {
    this.perform(to, this.links[to].handleDatagram(this.now, bytes.slice(), from))
  }

  /** When events of this type were told. */
  told(side: Side, type: LinkEvent['type']): number[] {
    return this.toldAt[side].flatMap(([at, told]) => (told === type ? [at] : []))
  }

  #step(): void {
    const arrived = this.#flying.filter((packet) => packet.at <= this.now)
    this.#flying = this.#flying.filter((packet) => packet.at > this.now)
    for (const { to, bytes, from } of arrived)
      this.perform(to, this.links[to].handleDatagram(this.now, bytes, from))
    for (const side of ['opener', 'responder'] as const) {
      const due = this.links[side].nextTimeout()
      if (due !== null && due <= this.now) this.perform(side, this.links[side].handleTimeout(this.now))
    }
  }

  #fly(from: Side, { to, bytes }: { readonly to: Endpoint; readonly bytes: Uint8Array }): void {
    this.sent.push({ from, at: this.now, to, bytes })
    const { loss = 0, duplication = 0, delayMs = [20, 20], mostBytes = Infinity } = this.weather
    if (bytes.length > mostBytes) return
    const source = this.routing(from, to)
    if (!source) return
    const copies = this.#random() < duplication ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      if (this.#random() < loss) continue
      const at = this.now + delayMs[0] + this.#random() * (delayMs[1] - delayMs[0])
      this.#flying.push({ at, to: otherSide(from), from: source, bytes: bytes.slice() })
    }
  }
}

/** A wire between two links that know each other. */
export function wireBetween(seed: number, weather: Weather = {}, changes: Partial<LinkOptions> = {}): Wire {
  const pair = new Acquaintance(seed)
  return new Wire(seed, weather, pair.options('opener', 0, changes), pair.options('responder', 0, changes))
}
