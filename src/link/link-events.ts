// What a link emits.

import type { Candidate, Endpoint } from '../base/endpoint.ts'
import type { Action, CloseAction, Via } from '../base/protocol-machine.ts'

export type CloseReason = 'closed' | 'closed-by-peer' | 'lost' | 'no-handshake'

export type LinkEvent =
  | { readonly type: 'open' }
  /** `bytes` belong to whoever takes the event. */
  | { readonly type: 'datagram'; readonly bytes: Uint8Array }
  | { readonly type: 'round-trip'; readonly ms: number }
  /** The peer is silent though asked; the link looks for another path. */
  | { readonly type: 'disturbed' }
  /** It is heard again. */
  | { readonly type: 'recovered' }
  /** Everything goes on another path from now on, which has been proven. */
  | { readonly type: 'moved'; readonly remote: Endpoint; readonly via: Via }
  /** Where the peer may be reached from now on: at most 16, which nobody has looked at. */
  | { readonly type: 'candidates'; readonly candidates: readonly Candidate[] }
  /** Always the last. */
  | { readonly type: 'closed'; readonly reason: CloseReason }

export type LinkAction = Exclude<Action<LinkEvent>, CloseAction>
