// What a punch is given, what it offers beside the contract of every machine, and what it tells.

import type { Crypto } from '../base/crypto.ts'
import type { Candidate, CandidateKind, Endpoint } from '../base/endpoint.ts'
import type { Action, Machine, SendAction, Via } from '../base/protocol-machine.ts'
import type { CheckKeys } from './check-packet.ts'
import type { Hearing } from './pair-lock.ts'

export type Path = {
  readonly kind: 'lan' | 'direct'
  readonly remote: Endpoint
  /** Our own endpoint as the peer sees it on this path. */
  readonly local: Endpoint
  readonly candidateKind: CandidateKind
  /** The socket it leads from; 0 is the main one. */
  readonly via: Via
}

export type PunchEvent =
  /** The first path proven in both directions. `packets`: sent by us so far, confirmations included. */
  | { readonly type: 'path'; readonly path: Path; readonly packets: number }
  /** A path of higher rank (lan, then IPv6, then the rest) was proven later. */
  | { readonly type: 'better-path'; readonly path: Path; readonly packets: number }
  /** No path within `attemptMs`; the machine is finished. */
  | { readonly type: 'failed'; readonly reason: 'no-answer'; readonly packets: number }
  /** After a path: the peer has been quiet, so nobody needs our answers; the machine is finished. */
  | { readonly type: 'done'; readonly packets: number }

export type PunchOptions = {
  readonly crypto: Pick<Crypto, 'randomBytes' | 'encrypt' | 'decrypt'>
  readonly keys: CheckKeys
  /** From a plan with strategy `direct`; may be empty when the peer must come to us. */
  readonly targets: readonly Candidate[]
  /** Never exceeded, whatever arrives. */
  readonly budget: number
  readonly sameNat: boolean
  readonly now: number
  /** Counted from `now`; 120 s by default. */
  readonly attemptMs?: number
  /** How long after a path the peer may still need our answers. */
  readonly quietMs?: number
  readonly extraSocketsHear?: Hearing
  /** Loopback targets are used only when our own socket is on loopback (demo and tests). */
  readonly onLoopback?: boolean
}

export interface Punch extends Machine<PunchEvent> {
  /** Candidates learned later. Known ones, and those beyond the bound, are ignored. */
  addTargets(now: number, candidates: readonly Candidate[]): Action<PunchEvent>[]
  /**
   * One check outside the budget, which the caller has to bound; a path when it is confirmed. Null when it may not
   * be sent there, or all is over.
   */
  probe(to: Endpoint, via: Via, ttl?: number): SendAction | null
  /** Whether the peer was heard by this socket. */
  heardBy(via: Via): boolean
  /** The socket is gone. */
  forget(via: Via): void
  /** Nothing is sent or answered afterwards. */
  stop(): void
  /** Sent so far. */
  readonly packets: number
}
