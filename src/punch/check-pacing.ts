// When the next check to a target goes out.
//
// Mail may start the two sides a minute apart, so a side must go on until the other appears, on few packets:
// quickly at first, for the case that both are there; then just often enough. A hole in a NAT lives at least
// 10 s from our last packet. With a check every 5 s both sides' holes stay open although one in a row is lost,
// and a peer that can only wait for us (ours is the port nobody can know) waits no longer. When many targets
// must share, up to 18 s still work: of two periodic senders with holes of 10 s, one always meets the other's.

import type { Rate } from '../base/token-bucket.ts'

/** Between one quick check and the next; the sequence starts again when the peer is heard. */
const quickGapsMs = [200, 200, 200, 600, 1_200, 2_400] as const
const mostQuickChecks = quickGapsMs.length + 1
/** Checks to a target after the peer was heard there, unless it is confirmed before. */
export const burstChecks = 4
const shortestSlowGapMs = 5_000
/** Checks left out of the slow rhythm, for the moment when the peer is heard. */
const kept = 2 * burstChecks
/** A LAN has no hole to keep open, at most a computer's own firewall. */
const lanWeight = 1 / 3

export type Paced = {
  readonly isLan: boolean
  /** Checks sent since the quick sequence began. */
  quickSent: number
  /** How many the quick sequence has. */
  quickTotal: number
}

/** How many quick checks each of `targets` gets, such that about half of `budget` is left for later. */
export function quickChecksFor(targets: number, budget: number): number {
  return Math.min(mostQuickChecks, Math.max(1, Math.floor(budget / 2 / Math.max(1, targets))))
}

/** Milliseconds after the check just sent to `target`, one of `waiting`; `budget`: checks still allowed to all. */
export function gapAfterCheck(
  target: Paced,
  waiting: readonly Paced[],
  remainingMs: number,
  budget: number,
): number {
  if (target.quickSent < target.quickTotal) return quickGapsMs[target.quickSent - 1] ?? 200
  const quickToCome = waiting.reduce((sum, one) => sum + Math.max(0, one.quickTotal - one.quickSent), 0)
  const weights = waiting.reduce((sum, one) => sum + weightOf(one), 0)
  const affordable = (remainingMs * weights) / Math.max(1, budget - quickToCome - kept)
  return Math.max(shortestSlowGapMs, affordable) / weightOf(target)
}

function weightOf(target: Paced): number {
  return target.isLan ? lanWeight : 1
}

/**
 * How fast a machine may make new mappings. NATs of homes drop or misplace what comes faster, and a whole table of
 * theirs filled at once takes other people's connections down (at most 200 a second).
 */
export const newMappings: Rate = { burst: 20, perSecond: 200 }
