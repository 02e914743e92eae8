// Local UDP ports onto links: what the agent and the game see of each other.

import type { Clock } from '../base/clock.ts'

/** A local port that every linked peer may reach (`--expose udp:PORT`). */
export type Expose = { readonly protocol: 'udp'; readonly port: number }

/** A local port that leads to a port a peer exposes (`--forward udp:LOCAL=NICK:PORT`). */
export type Forward = {
  readonly protocol: 'udp'
  readonly localPort: number
  readonly nick: string
  readonly port: number
}

export type ForwarderEvent =
  /** The local port is listening, for the peer of that nickname. */
  | { readonly type: 'listening'; readonly localPort: number; readonly nick: string; readonly port: number }
  /** The forwards to this nickname now lead to this peer, or to nobody. */
  | { readonly type: 'forwarding'; readonly nick: string; readonly peerId: string | null }
  /** A second peer has the same nickname; forwards stay with the first. */
  | { readonly type: 'ambiguous-nick'; readonly nick: string; readonly used: string; readonly unused: string }

export type ForwarderOptions = {
  readonly clock: Clock
  readonly exposes: readonly Expose[]
  readonly forwards: readonly Forward[]
  readonly onEvent: (event: ForwarderEvent) => void
}

export interface Forwarder {
  /** Binds the forwards' local ports; rejects with a Problem `port-taken`. */
  open(): Promise<void>
  /** A link to this peer is open. `send` takes one link datagram. */
  attach(peer: { readonly id: string; readonly name: string }, send: (bytes: Uint8Array) => void): void
  /** Its link is gone. Its flows stay a while, so that a peer that comes back keeps its addresses. */
  detach(id: string): void
  /** A datagram that came over the link. */
  handleDatagram(id: string, bytes: Uint8Array): void
  close(): Promise<void>
}

export declare function createForwarder(options: ForwarderOptions): Forwarder
