// The NAT behavior of one side of a pair, as far as punching needs it (D6, D8).

import { addressScope, type Candidate, type Endpoint, familyOf } from '../base/endpoint.ts'
import type { Filtering, NatProfile, PortBlock } from '../base/nat-profile.ts'

/**
 * `candidates`: ours are all we have, including host candidates; the peer's are those of its reply or
 * introduction.
 */
export type PlanSide = {
  readonly nat: NatProfile
  readonly candidates: readonly Candidate[]
  /** Left out when the side accepts no TCP. */
  readonly tcpCandidates?: readonly Candidate[]
}

/**
 * How the NAT chooses the port for a new peer. `fixed`: the port that is already known. `assignable`: one per
 * remote address, the next of a counter. `counting`: one per remote endpoint, the next of a counter. `random`:
 * unpredictable.
 */
type PortChoice = 'fixed' | 'assignable' | 'counting' | 'random'

export type NatBehavior = {
  readonly kind: PortChoice
  readonly filtering: Filtering
  /** Packets from any source reach it. */
  readonly isOpen: boolean
  /** Step of the port counter from one mapping to the next; 0 when unknown. */
  readonly step: number
  /** The range of its ports; all ports unless it is known to be smaller. */
  readonly ports: PortBlock
  readonly isBlock: boolean
  /** Public IPv4 endpoint seen by STUN servers. With `fixed` ports, packets go there. */
  readonly publicEndpoint: Endpoint | null
  readonly lifetimeMs: number | null
}

/** NATs do not use the system ports (RFC 4787 §4.2.2). */
export const allPorts: PortBlock = { first: 1024, last: 65535 }

export function behaviorOf({ nat, candidates }: PlanSide): NatBehavior {
  const { mapping, filtering, allocation } = nat
  const block = 'block' in allocation ? allocation.block : undefined
  return {
    kind: kindOf(nat),
    filtering,
    // A side without a NAT counts as full cone (D8).
    isOpen:
      mapping === 'none' ||
      (mapping === 'EIM' && filtering === 'EIF') ||
      candidates.some(
        ({ kind, endpoint }) => kind === 'port-mapped' && addressScope(endpoint.address) === 'public',
      ),
    step: allocation.type === 'sequential' ? allocation.step : 0,
    ports: block ?? allPorts,
    isBlock: block !== undefined,
    publicEndpoint: candidates.find(isPublicIpv4)?.endpoint ?? null,
    lifetimeMs: nat.lifetimeMs ?? null,
  }
}

/** While the allocation is unknown, we assume a counter; our own samples will show whether there is one. */
function kindOf({ mapping, allocation }: NatProfile): PortChoice {
  // For most NATs of unknown kind the known port is right.
  if (mapping !== 'ADM' && mapping !== 'APDM') return 'fixed'
  if (allocation.type === 'random') return 'random'
  return mapping === 'ADM' ? 'assignable' : 'counting'
}

function isPublicIpv4({ kind, endpoint }: Candidate): boolean {
  const { address } = endpoint
  return kind === 'server-reflexive' && familyOf(address) === 4 && addressScope(address) === 'public'
}
