// Asks STUN servers how the world sees our socket, and goes on asking so that the mapping stays (mission B4, C4).

import type { Crypto } from '../base/crypto.ts'
import type { Endpoint } from '../base/endpoint.ts'
import type { Machine } from '../base/machine.ts'
import type { NatProfile } from '../base/nat-profile.ts'

/** One server's view of us. */
export type Observation = { readonly server: Endpoint; readonly mapped: Endpoint }

export type NatView = {
  readonly profile: NatProfile
  /** Server-reflexive candidates: distinct, in the order of the servers; empty when all servers are silent. */
  readonly publicEndpoints: readonly Endpoint[]
  readonly observations: readonly Observation[]
}

export type ProberEvent =
  /** Exactly once: the first verdict. */
  | ({ readonly type: 'profile' } & NatView)
  /** Any later verdict that differs. */
  | ({ readonly type: 'changed' } & NatView)

export type ProberOptions = {
  readonly crypto: Pick<Crypto, 'randomBytes'>
  /** Resolved, of the socket's family; those beyond 8 are not asked. */
  readonly servers: readonly Endpoint[]
  /** Our own addresses with the socket's port (see net/interfaces.ts). */
  readonly localEndpoints: readonly Endpoint[]
  readonly now: number
  /** Between two keepalive questions. */
  readonly keepaliveMs?: number
  /** At the latest so long after the start there is a verdict. */
  readonly verdictMs?: number
}

export interface Prober extends Machine<ProberEvent> {
  /** Nothing is asked or answered afterwards. */
  stop(): void
}

export function createProber(_options: ProberOptions): Prober {
  throw new Error('not built yet')
}
