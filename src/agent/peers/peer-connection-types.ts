// What a meeting is made with, and what it tells.

import type { Clock } from '../../base/clock.ts'
import type { Crypto, KeyPair } from '../../base/crypto.ts'
import type { Candidate } from '../../base/endpoint.ts'
import type { OfferedPeer } from '../../letter/letter-types.ts'
import type { Path } from '../../punch/connectivity-checks.ts'
import type { AttemptFailure } from '../../punch/punch-attempt.ts'
import type { Plan } from '../../punch/punch-plan.ts'
import type { Network } from '../network/network.ts'
import type { TcpTransport } from '../network/tcp-transport.ts'
import type { PairKeys } from './pair-keys.ts'

export type PeerConnectionFailure = AttemptFailure | 'no-handshake' | 'stopped'

export type PeerConnectionEvent =
  | { readonly type: 'open'; readonly path: Path; readonly packets: number; readonly sincePunchMs: number }
  | { readonly type: 'path'; readonly path: Path }
  | { readonly type: 'datagram'; readonly bytes: Uint8Array }
  /** The peer is silent; another way is sought. */
  | { readonly type: 'disturbed' }
  | { readonly type: 'recovered' }
  | { readonly type: 'failed'; readonly reason: PeerConnectionFailure }
  | { readonly type: 'closed'; readonly reason: string }

/** TCP is left out by tests of everything else. */
export type PeerConnectionNetwork = Pick<
  Network,
  'nat' | 'onLoopback' | 'servers' | 'candidates' | 'sockets'
> & {
  readonly tcp?: Pick<TcpTransport, 'dial'> | null
  readonly tcpCandidates?: readonly Candidate[]
  readonly udpIsSilent?: boolean
}

export type PeerConnectionOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly identity: KeyPair
  readonly sessionKey: Uint8Array
  readonly peer: OfferedPeer
  readonly keys: PairKeys
  readonly plan: Exclude<Plan, { strategy: 'none' }>
  /** How long a direct attempt lasts; the others need more, and say so themselves. */
  readonly attemptMs: number
  /** Hops that packets meant only to open our own NAT may live. */
  readonly bubbleTtl?: number
  /** How long a letter to the peer may take, as far as we have seen. */
  readonly mailMs: number | null
  /** A ping goes out at least so often; more often where a NAT is known to forget sooner. */
  readonly keepaliveMs?: number
  readonly network: PeerConnectionNetwork
  /** Sealed for the peer, to be sent by mail. */
  readonly onSignal: (box: Uint8Array) => void
  readonly onEvent: (event: PeerConnectionEvent) => void
}
