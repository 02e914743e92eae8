// Decides from two NAT profiles how a pair is to be punched, or why it cannot be (design §6).

import type { Candidate } from '../base/endpoint.ts'
import type { NatProfile } from '../base/nat-profile.ts'

export type Plan =
  | {
      readonly strategy: 'direct'
      /** Packets this side may send in the whole attempt. */
      readonly budget: number
      /** Where to send checks, best first; empty when the peer must come to us. */
      readonly targets: readonly Candidate[]
    }
  | {
      readonly strategy: 'none'
      /** A sentence a person understands. */
      readonly reason: string
      /** What the person can do about it. */
      readonly advice: string
    }

/** `candidates` of ours: all we have, host candidates too. Theirs: as reply or introduction brought them. */
export type PlanSide = { readonly nat: NatProfile; readonly candidates: readonly Candidate[] }

export function plan(_mine: PlanSide, _theirs: PlanSide & { readonly sameNat: boolean }): Plan {
  throw new Error('not built yet')
}
