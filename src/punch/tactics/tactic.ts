// A tactic for hard NATs: decides what an attempt sends beside the direct checks. An attempt has one or two
// tactics per side.

import type { Endpoint } from '../../base/endpoint.ts'
import type { Via } from '../../base/protocol-machine.ts'
import type { Signal } from '../../base/signaling-message.ts'
import { keepaliveIntervalMs } from '../../nat/keepalive-interval.ts'
import type { Sample } from '../port-sampler.ts'

/** Why a tactic cannot go on. */
export type TacticFailure = 'no-samples' | 'unpredictable-ports'

export type Probe =
  | { readonly type: 'check'; readonly to: Endpoint; readonly via: Via }
  /** Opens our own NAT; need not arrive. */
  | { readonly type: 'bubble'; readonly to: Endpoint; readonly via: Via }
  | { readonly type: 'sample'; readonly sample: Sample }

/** What an attempt offers to its tactics. */
export interface ProbeSender {
  /** The number of an unused socket; its first packet opens it. */
  newVia(): Via
  /**
   * Sends the probes together, in this order, as soon as pacing allows; at most 20. False, and nothing is sent,
   * when the budget is too small. Samples are settled sooner or later; then `act` is called.
   */
  sendBurst(burst: readonly Probe[]): boolean
  sendSignal(signal: Signal): void
  close(vias: Iterable<Via>): void
  /** Our public addresses, as STUN servers saw them before the attempt. */
  readonly ownAddresses: readonly string[]
  /** Packets that tactics may still send, without the queued ones. */
  readonly remaining: number
  /** Whether a packet of the peer arrived on that socket. */
  hasReceivedOn(via: Via): boolean
  /** Converts between `now` and Unix ms. */
  toWall(now: number): number
  fromWall(wallNow: number): number
}

export interface Tactic {
  /** Called when `nextAt` is due, after samples were settled and after signals. Harmless at any other time. */
  act(now: number): void
  /** A signal of the peer; it may be late, repeated, or meant for another tactic. */
  handleSignal(now: number, signal: Signal): void
  nextAt(): number | null
  /** Why the tactic cannot go on; null while it can. */
  readonly failure: TacticFailure | null
}

/** Assumed time of a letter and its answer while none was measured. */
export const usualMailMs = 10_000
/** Gap between two packets that keep a mapping open for the peer. */
export function keepaliveMsFor(lifetimeMs: number | null): number {
  return keepaliveIntervalMs(lifetimeMs, { leastMs: 2_000, mostMs: 25_000 })
}

/**
 * Short at first, because answers get lost; then long, because a NAT may have run out of ports or servers may
 * be down.
 */
export function retryDelayMs(tries: number): number {
  return Math.min(30_000, 250 * 2 ** tries)
}

/** A failure is reported only after so many failed tries. */
export const triesToFailure = 5
