// What an agent knows about its NAT, in the terms of RFC 4787. It is part of letters.

/** `none`: there is no NAT; our own address is public. */
export type Mapping = 'none' | 'EIM' | 'ADM' | 'APDM' | 'unknown'
export type Filtering = 'EIF' | 'ADF' | 'APDF' | 'unknown'

/** The ports that a NAT reserves for one subscriber, both ends included. */
export type PortBlock = { readonly first: number; readonly last: number }

/** How the NAT chooses external ports. `step` is a number of ports and may be negative. */
export type Allocation =
  | { readonly type: 'preserving' | 'unknown' }
  | { readonly type: 'random'; readonly block?: PortBlock }
  | { readonly type: 'sequential'; readonly step: number; readonly block?: PortBlock }

export type NatProfile = {
  readonly mapping: Mapping
  readonly filtering: Filtering
  readonly allocation: Allocation
  /** How long a mapping lives without traffic. Absent until it is measured. */
  readonly lifetimeMs?: number
}

export const unknownNat: NatProfile = {
  mapping: 'unknown',
  filtering: 'unknown',
  allocation: { type: 'unknown' },
}
