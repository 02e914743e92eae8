// A tactic for hard NATs: one part of an attempt, which decides what to send beside the direct checks. An attempt has
// one or two of them a side.

import type { Endpoint } from '../../base/endpoint.ts'
import type { Via } from '../../base/protocol-machine.ts'
import type { Signal } from '../../base/signaling-message.ts'
import { keepaliveIntervalMs } from '../../nat/keepalive-interval.ts'
import type { Sample } from '../port-sampler.ts'

/** Why a tactic cannot go on. */
export type TacticFailure = 'no-samples' | 'unpredictable-ports'

export type Probe =
  | { readonly type: 'check'; readonly to: Endpoint; readonly via: Via }
  /** Only to open our own NAT: it need not arrive. */
  | { readonly type: 'bubble'; readonly to: Endpoint; readonly via: Via }
  | { readonly type: 'sample'; readonly sample: Sample }

/** What the attempt does for its tactics. */
export interface ProbeSender {
  /** Number of a socket that nobody used yet; it is opened by the first packet. */
  newVia(): Via
  /**
   * Goes out at one instant, in this order, as soon as pacing allows; at most 20. False, and nothing goes out, when the
   * budget does not allow it. Samples in it are settled sooner or later, then `act` is called.
   */
  sendBurst(burst: readonly Probe[]): boolean
  sendSignal(signal: Signal): void
  close(vias: Iterable<Via>): void
  /** Public ones, as STUN servers saw them before the attempt. */
  readonly ownAddresses: readonly string[]
  /** Packets that tactics may still send, without those that wait. */
  readonly left: number
  /** Whether the peer was heard by that socket. */
  heardBy(via: Via): boolean
  /** Unix ms at `now`, and the other way round. */
  toWall(now: number): number
  fromWall(wallNow: number): number
}

export interface Tactic {
  /** Called when `nextAt` is due, after samples were settled and after signals; harmless at any other time. */
  act(now: number): void
  /** From the peer; it may be late, double, or meant for another tactic. */
  handleSignal(now: number, signal: Signal): void
  nextAt(): number | null
  /** Set when it has given up. */
  readonly failure: TacticFailure | null
}

/** How long a letter and its answer take while nobody has seen one. */
export const usualMailMs = 10_000
/** Between two packets that keep a mapping open for the peer. */
export function keepaliveMsFor(lifetimeMs: number | null): number {
  return keepaliveIntervalMs(lifetimeMs, { leastMs: 2_000, mostMs: 25_000 })
}

/** Fast at first, for answers get lost; then slowly, for a NAT may have run out of ports, or servers be down. */
export function retryDelayMs(tries: number): number {
  return Math.min(30_000, 250 * 2 ** tries)
}

/** Before that many tries in vain nobody speaks of failure. */
export const triesToFailure = 5
