// What two agents tell each other while they punch, by letters through the host that only they can read.

import type { Endpoint } from './endpoint.ts'

/** Ports `first`, `first + step`, … up to `last` at most; step is above 0. */
export type PortRange = { readonly first: number; readonly last: number; readonly step: number }

/**
 * `round` counts the tries within one attempt from 0; who hears of a later round leaves the earlier one.
 * `address`: the public address of the speaker that the ports belong to.
 */
export type Signal =
  /** My NAT has given me one of these ports for packets to you; most likely first. */
  | {
      readonly type: 'ports'
      readonly round: number
      readonly address: string
      /** Where I sent to get it: from elsewhere your packets may not be let in. */
      readonly towards: Endpoint
      readonly ranges: readonly PortRange[]
    }
  /** My NAT's counter will pass these ports, in this order: choose among them (D7). */
  | {
      readonly type: 'targets'
      readonly round: number
      readonly address: string
      readonly ports: readonly number[]
    }
  /** I hold `mine` open for what comes from your `yours`, each of them. */
  | {
      readonly type: 'pairs'
      readonly round: number
      readonly address: string
      readonly pairs: readonly { readonly mine: number; readonly yours: number }[]
    }
  /** Both search for each other's ports from this instant on: Unix ms by the speaker's clock. */
  | { readonly type: 'search'; readonly round: number; readonly startAt: number }

/** Longest lists that are sent or read. */
export const signalLimits = { ranges: 16, targets: 64, pairs: 64, rounds: 16 } as const
