// What a link is made with, and what it tells.

import type { Candidate, Endpoint } from '../base/endpoint.ts'
import type { Action, CloseAction, Via } from '../base/protocol-machine.ts'
import type { HandshakeOptions } from './handshake.ts'

export type LinkOptions = HandshakeOptions & {
  readonly remote: Endpoint
  /** The socket that the path leads from; the main one if left out. */
  readonly via?: Via
  /** How good the path is; only ways of a higher rank (`setWays`) replace it while it works. Default 0. */
  readonly rank?: number
  readonly now: number
  /** A ping goes out this often, whatever else does. Default 8,000. */
  readonly keepaliveMs?: number
  /** Silence after which the link is lost, with no way back found. Default 30,000. */
  readonly lossMs?: number
  /** How long the handshake may take. Default 30,000. */
  readonly handshakeMs?: number
  /** Above 0 only in tests of the counter's end. */
  readonly firstCounter?: number
}

export type CloseReason = 'closed' | 'closed-by-peer' | 'lost' | 'no-handshake'

export type LinkEvent =
  | { readonly type: 'open' }
  /** `bytes` belong to whoever takes the event. */
  | { readonly type: 'datagram'; readonly bytes: Uint8Array }
  | { readonly type: 'round-trip'; readonly ms: number }
  /** The peer is silent though asked; the link looks for another way. */
  | { readonly type: 'disturbed' }
  /** It is heard again. */
  | { readonly type: 'recovered' }
  /** Everything goes another way from now on, which has been proven. */
  | { readonly type: 'moved'; readonly remote: Endpoint; readonly via: Via }
  /** Where the peer may be reached from now on: at most 16, which nobody has looked at. */
  | { readonly type: 'candidates'; readonly candidates: readonly Candidate[] }
  /** Always the last. */
  | { readonly type: 'closed'; readonly reason: CloseReason }

export type LinkAction = Exclude<Action<LinkEvent>, CloseAction>

export type LinkState = 'handshake' | 'open' | 'closing' | 'closed'
