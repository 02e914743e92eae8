// What two agents send each other while they punch. It travels in letters that the host relays and cannot read.

import type { Endpoint } from './endpoint.ts'

/** The ports `first`, `first + step`, … not above `last`. `step` is above 0. */
export type PortRange = { readonly first: number; readonly last: number; readonly step: number }

/**
 * `round` counts the rounds of one attempt from 0. A receiver that sees a later round leaves the earlier one.
 * `address` is the sender's public address, to which the ports belong.
 */
export type Signal =
  /** The sender's NAT uses one of these ports for packets to the receiver. The most likely range comes first. */
  | {
      readonly type: 'ports'
      readonly round: number
      readonly address: string
      /** The endpoint the sender sent to. Its NAT may drop packets from any other. */
      readonly towards: Endpoint
      readonly ranges: readonly PortRange[]
    }
  /** The port counter of the sender's NAT will pass these ports in this order. The receiver chooses among them (D7). */
  | {
      readonly type: 'targets'
      readonly round: number
      readonly address: string
      readonly ports: readonly number[]
    }
  /** For each pair, the sender keeps its port `mine` open for packets from the receiver's port `yours`. */
  | {
      readonly type: 'pairs'
      readonly round: number
      readonly address: string
      readonly pairs: readonly { readonly mine: number; readonly yours: number }[]
    }
  /** Both search for each other's ports from this instant on: Unix ms by the sender's clock. */
  | { readonly type: 'search'; readonly round: number; readonly startAt: number }

/** The longest lists that are sent, and that are accepted. */
export const signalLimits = { ranges: 16, targets: 64, pairs: 64, rounds: 16 } as const
