// Converts the [nat] section to a NAT profile. In it a person enters what the tests do not find out (D9).

import type { Allocation, NatProfile } from '../base/nat-profile.ts'
import type { AgentConfig } from './config-schema.ts'
import { parseDuration } from './duration.ts'

/** Contains only what is set. The rest is measured. */
export function knownNat({
  mapping,
  filtering,
  lifetime,
  ...ports
}: AgentConfig['nat']): Partial<NatProfile> {
  const allocation = allocationOf(ports)
  const lifetimeMs = lifetime === undefined ? null : parseDuration(lifetime)
  return {
    ...(mapping && { mapping }),
    ...(filtering && { filtering }),
    ...(allocation && { allocation }),
    ...(lifetimeMs !== null && { lifetimeMs }),
  }
}

function allocationOf({
  allocation,
  step = 1,
  block,
}: Pick<AgentConfig['nat'], 'allocation' | 'step' | 'block'>): Allocation | null {
  const [first, last] = block ?? []
  const inside = first !== undefined && last !== undefined ? { block: { first, last } } : {}
  switch (allocation) {
    case 'preserving':
      return { type: allocation }
    case 'sequential':
      return { type: allocation, step, ...inside }
    case 'random':
      return { type: allocation, ...inside }
    case undefined:
      return null
  }
}
