// When the next check to a target is sent.
//
// Mail may start the two sides a minute apart. So a side must keep checking until the other one appears, with few
// packets: fast at first, in case both are ready, then just often enough. A NAT mapping lives at least 10 s after our
// last packet. With a check every 5 s the mappings of both sides stay open even if one check is lost. A peer that can
// only wait for our check, because nobody can know our port, waits no longer than that. When many targets share the
// budget, gaps up to 18 s still work: of two periodic senders with mappings of 10 s, one always reaches the other's.

import type { Rate } from '../base/token-bucket.ts'

/** Gaps between the quick checks. The sequence starts again when a packet of the peer arrives. */
const quickGapsMs = [200, 200, 200, 600, 1_200, 2_400] as const
const maxQuickChecks = quickGapsMs.length + 1
/** Checks to a target after the peer's packet arrived from there, unless it is confirmed before. */
export const burstChecks = 4
const minSlowGapMs = 5_000
/** Checks reserved for the moment when the peer's first packet arrives. */
const reservedChecks = 2 * burstChecks
/** In a LAN there is no NAT mapping to keep open, at most one of a computer's firewall. */
const lanWeight = 1 / 3

export type PacedTarget = {
  readonly isLan: boolean
  /** Checks sent since the quick sequence began. */
  quickSent: number
  /** Length of the quick sequence. */
  quickTotal: number
}

/** How many quick checks each of `targets` gets. About half of `budget` remains for later. */
export function quickChecksFor(targets: number, budget: number): number {
  return Math.min(maxQuickChecks, Math.max(1, Math.floor(budget / 2 / Math.max(1, targets))))
}

/**
 * Milliseconds until the next check to `target`, one of `waiting`. `budget`: checks still allowed to all
 * targets.
 */
export function gapAfterCheck(
  target: PacedTarget,
  waiting: readonly PacedTarget[],
  remainingMs: number,
  budget: number,
): number {
  if (target.quickSent < target.quickTotal) return quickGapsMs[target.quickSent - 1] ?? 200
  const quickToCome = waiting.reduce((sum, each) => sum + Math.max(0, each.quickTotal - each.quickSent), 0)
  const weights = waiting.reduce((sum, each) => sum + weightOf(each), 0)
  const affordable = (remainingMs * weights) / Math.max(1, budget - quickToCome - reservedChecks)
  return Math.max(minSlowGapMs, affordable) / weightOf(target)
}

function weightOf(target: PacedTarget): number {
  return target.isLan ? lanWeight : 1
}

/**
 * How fast an attempt may create new mappings, at most 200 a second. Home routers drop or misplace faster ones.
 * A full mapping table also breaks other people's connections.
 */
export const newMappingRate: Rate = { burst: 20, perSecond: 200 }
