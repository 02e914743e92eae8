// One attempt to reach one peer on all its candidates at once (mission C3, design §6).

import type { Crypto } from '../base/crypto.ts'
import type { Candidate, CandidateKind, Endpoint } from '../base/endpoint.ts'
import type { Action, Machine } from '../base/machine.ts'
import type { CheckKeys } from './check.ts'

export type Path = {
  readonly kind: 'lan' | 'direct'
  readonly remote: Endpoint
  /** Our own endpoint as the peer sees it on this path. */
  readonly local: Endpoint
  readonly candidateKind: CandidateKind
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
  /** From a plan with strategy `direct`. */
  readonly targets: readonly Candidate[]
  readonly budget: number
  readonly sameNat: boolean
  readonly now: number
  /** Counted from `now`; 120 s by default. */
  readonly attemptMs?: number
  /** Our socket is bound to loopback (demo and tests): only then loopback targets are used. */
  readonly onLoopback?: boolean
}

export interface Punch extends Machine<PunchEvent> {
  /** Candidates learned later. Known ones, and those beyond the bound, are ignored. */
  addTargets(now: number, candidates: readonly Candidate[]): Action<PunchEvent>[]
  /** Nothing is sent or answered afterwards. */
  stop(): void
  readonly packets: number
}

export function createPunch(_options: PunchOptions): Punch {
  throw new Error('not built yet')
}
