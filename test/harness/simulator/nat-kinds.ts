// The seven kinds of side that represent the NATs in the field, by name.

import type { Mapping, NatProfile } from '../../../src/base/nat-profile.ts'
import type { NatKind } from './simulated-nat.ts'

export const sideNames = [
  'no NAT',
  'EIM+EIF',
  'EIM+ADF',
  'EIM+APDF',
  'ADM+ADF sequential',
  'APDM+APDF sequential',
  'APDM+APDF random',
] as const

export type SideName = (typeof sideNames)[number]

export function nat(
  mapping: NatKind['mapping'],
  filtering: NatKind['filtering'],
  more: Partial<NatKind> = {},
): NatKind {
  return { mapping, filtering, allocation: 'preserving', lifetimeMs: 10_000, hairpin: false, ...more }
}

/** Null means no NAT. `more` sets what the name leaves open; `step` applies to sequential kinds only. */
export function kindOf(
  name: SideName,
  { step = 1, ...more }: Partial<NatKind> & { readonly step?: number } = {},
): NatKind | null {
  switch (name) {
    case 'no NAT':
      return null
    case 'EIM+EIF':
      return nat('EIM', 'EIF', more)
    case 'EIM+ADF':
      return nat('EIM', 'ADF', more)
    case 'EIM+APDF':
      return nat('EIM', 'APDF', more)
    case 'ADM+ADF sequential':
      return nat('ADM', 'ADF', { ...more, allocation: step })
    case 'APDM+APDF sequential':
      return nat('APDM', 'APDF', { ...more, allocation: step })
    case 'APDM+APDF random':
      return nat('APDM', 'APDF', { ...more, allocation: 'random' })
  }
}

export const noNat: NatProfile = { mapping: 'none', filtering: 'EIF', allocation: { type: 'preserving' } }

const strictness = {
  mapping: ['none', 'EIM', 'ADM', 'APDM', 'unknown'],
  filtering: ['EIF', 'ADF', 'APDF', 'unknown'],
} as const

/**
 * The combined profile of two nested NATs: the stricter mapping and filtering, and the ports of the outermost
 * NAT that chooses them.
 */
export function behind(outer: NatProfile, inner: NatProfile): NatProfile {
  const stricter = <Kind extends Mapping | NatProfile['filtering']>(
    order: readonly Kind[],
    a: Kind,
    b: Kind,
  ) => (order.indexOf(a) > order.indexOf(b) ? a : b)
  return {
    mapping: stricter<Mapping>(strictness.mapping, outer.mapping, inner.mapping),
    filtering: stricter<NatProfile['filtering']>(strictness.filtering, outer.filtering, inner.filtering),
    allocation: outer.allocation.type === 'preserving' ? inner.allocation : outer.allocation,
  }
}
