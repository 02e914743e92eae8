// What one side of a pair is to the other, as far as punching is concerned (D6, D8).

import { addressScope, type Candidate, type Endpoint, familyOf } from '../base/endpoint.ts'
import type { Filtering, NatProfile, PortBlock } from '../base/nat-profile.ts'

/** `candidates` of ours: all we have, host candidates too. Theirs: as reply or introduction brought them. */
export type PlanSide = {
  readonly nat: NatProfile
  readonly candidates: readonly Candidate[]
  /** Left out where it takes no TCP. */
  readonly tcpCandidates?: readonly Candidate[]
}

/**
 * How the port towards a new peer comes about. `fixed`: it is the one that is known already. `assignable`: one for each
 * remote address, the next of a counter. `counting`: one for each remote endpoint, the next of a counter. `random`:
 * nobody can say.
 */
type Kind = 'fixed' | 'assignable' | 'counting' | 'random'

export type NatBehavior = {
  readonly kind: Kind
  readonly filtering: Filtering
  /** Packets of anybody reach it. */
  readonly isOpen: boolean
  /** Counts ports from one mapping to the next; 0 while nobody knows. */
  readonly step: number
  /** Its ports are in here; the whole range when it is not known to be smaller. */
  readonly ports: PortBlock
  readonly isBlock: boolean
  /** Public IPv4 endpoint that STUN servers saw; the one to send to where the port is fixed. */
  readonly seenAs: Endpoint | null
  readonly lifetimeMs: number | null
}

/** NATs leave the system ports alone (RFC 4787 §4.2.2). */
export const allPorts: PortBlock = { first: 1024, last: 65535 }

export function behaviorOf({ nat, candidates }: PlanSide): NatBehavior {
  const { mapping, filtering, allocation } = nat
  const block = 'block' in allocation ? allocation.block : undefined
  return {
    kind: kindOf(nat),
    filtering,
    // Without a NAT a side counts as a full cone (D8).
    isOpen:
      mapping === 'none' ||
      (mapping === 'EIM' && filtering === 'EIF') ||
      candidates.some(
        ({ kind, endpoint }) => kind === 'port-mapped' && addressScope(endpoint.address) === 'public',
      ),
    step: allocation.type === 'sequential' ? allocation.step : 0,
    ports: block ?? allPorts,
    isBlock: block !== undefined,
    seenAs: candidates.find(isPublicFour)?.endpoint ?? null,
    lifetimeMs: nat.lifetimeMs ?? null,
  }
}

/** Where nobody knows how ports are chosen, our own samples will show whether there is an order. */
function kindOf({ mapping, allocation }: NatProfile): Kind {
  // The known port is right for most NATs that nobody could tell the kind of.
  if (mapping !== 'ADM' && mapping !== 'APDM') return 'fixed'
  if (allocation.type === 'random') return 'random'
  return mapping === 'ADM' ? 'assignable' : 'counting'
}

function isPublicFour({ kind, endpoint }: Candidate): boolean {
  const { address } = endpoint
  return kind === 'server-reflexive' && familyOf(address) === 4 && addressScope(address) === 'public'
}
