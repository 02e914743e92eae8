// What an agent knows of its NAT, as it is told to others (RFC 4787 terms).

/** `none`: our own address is the public one. */
export type Mapping = 'none' | 'EIM' | 'ADM' | 'APDM' | 'unknown'
export type Filtering = 'EIF' | 'ADF' | 'APDF' | 'unknown'

/** How the NAT chooses ports. `step` counts ports and may be negative. */
export type Allocation =
  | { readonly type: 'preserving' | 'random' | 'unknown' }
  | { readonly type: 'sequential'; readonly step: number }

export type NatProfile = {
  readonly mapping: Mapping
  readonly filtering: Filtering
  readonly allocation: Allocation
}

export const unknownNat: NatProfile = {
  mapping: 'unknown',
  filtering: 'unknown',
  allocation: { type: 'unknown' },
}
