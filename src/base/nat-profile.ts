// What an agent knows of its NAT, as it is told to others (RFC 4787 terms).

/** `none`: our own address is the public one. */
export type Mapping = 'none' | 'EIM' | 'ADM' | 'APDM' | 'unknown'
export type Filtering = 'EIF' | 'ADF' | 'APDF' | 'unknown'

/** The ports a NAT keeps for one subscriber, both ends included. */
export type PortBlock = { readonly first: number; readonly last: number }

/** How the NAT chooses ports, perhaps inside a block. `step` counts ports and may be negative. */
export type Allocation =
  | { readonly type: 'preserving' | 'unknown' }
  | { readonly type: 'random'; readonly block?: PortBlock }
  | { readonly type: 'sequential'; readonly step: number; readonly block?: PortBlock }

export type NatProfile = {
  readonly mapping: Mapping
  readonly filtering: Filtering
  readonly allocation: Allocation
  /** How long a mapping is known to live without traffic; left out while nobody has found out. */
  readonly lifetimeMs?: number
}

export const unknownNat: NatProfile = {
  mapping: 'unknown',
  filtering: 'unknown',
  allocation: { type: 'unknown' },
}
