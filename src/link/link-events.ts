// What a link emits.

import type { Candidate, Endpoint } from '../base/endpoint.ts'
import type { Action, CloseAction, Via } from '../base/protocol-machine.ts'

export type CloseReason = 'closed' | 'closed-by-peer' | 'lost' | 'no-handshake'

export type LinkEvent =
  | { readonly type: 'open' }
  /** The receiver of the event owns `bytes`. */
  | { readonly type: 'datagram'; readonly bytes: Uint8Array }
  | { readonly type: 'round-trip'; readonly ms: number }
  /** The peer does not answer pings; the link looks for another path. */
  | { readonly type: 'disturbed' }
  /** The peer answers again. */
  | { readonly type: 'recovered' }
  /** The link uses another, proven path from now on. */
  | { readonly type: 'moved'; readonly remote: Endpoint; readonly via: Via }
  /** Where the peer says it can be reached; at most 16, not verified. */
  | { readonly type: 'candidates'; readonly candidates: readonly Candidate[] }
  /** Always the last event. */
  | { readonly type: 'closed'; readonly reason: CloseReason }

export type LinkAction = Exclude<Action<LinkEvent>, CloseAction>
