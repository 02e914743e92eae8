// Predicts which ports to announce to the other side, when our NAT counts and two letters pass before a packet
// arrives. The ports lie ahead of the counter, as far as other people's connections may carry it meanwhile.
// They lie close enough together that we can advance the counter to the next one ourselves.

import type { PortBlock } from '../../base/nat-profile.ts'
import { isWithin, stepsBetween } from '../port-arithmetic.ts'
import type { Position } from './port-measurement.ts'

/** Other people's connections: `seen` of them within `overMs`. */
type ForeignTraffic = { readonly seen: number; readonly overMs: number }

const maxTargets = 24
const minStepsApart = 20
/** Most new mappings we spend on the way to the next target. */
const maxStepsApart = 100
/** Our own next samples take the steps before this one. */
const firstStep = 8
/** Lowest assumed rate per second: a quiet NAT need not stay quiet. */
const minForeignRate = 1

/**
 * Target ports in the order in which the counter will reach them. `mailMs`: how long a letter and its answer
 * took lately. The next two letters may take a third less or half as much again, and the other side may not
 * have started yet.
 */
export function targetsAhead(
  { port, step }: Position,
  { seen, overMs }: ForeignTraffic,
  mailMs: number,
  within: PortBlock,
): number[] {
  // Two standard deviations of a Poisson count.
  const spread = 2 * Math.sqrt(seen + 1)
  const least = Math.max(0, seen - spread) / overMs
  const most = Math.max((seen + spread) / overMs, minForeignRate / 1_000)
  const first = Math.floor(least * 1.3 * mailMs) + firstStep
  const last = first + Math.ceil(most * (3.5 * mailMs + 8_000) - least * 1.3 * mailMs)
  const apart = Math.min(maxStepsApart, Math.max(minStepsApart, Math.ceil((last - first) / (maxTargets - 1))))
  const targets: number[] = []
  for (let steps = first; targets.length < maxTargets; steps += apart) {
    const target = port + steps * step
    // After an end of the range the next port is unknown.
    if (!isWithin(target, within)) break
    targets.push(target)
    if (steps >= last) break
  }
  return targets
}

/** The other side keeps its port `mine` open for packets from our port `yours`. */
export type Pair = { readonly mine: number; readonly yours: number }

/** The first pair that the counter has not passed, and how many new mappings lead to it, including its own. */
export function nextPair(
  pairs: readonly Pair[],
  { port, step, sentAfter }: Position,
): { readonly pair: Pair; readonly toGo: number } | null {
  let next: { pair: Pair; toGo: number } | null = null
  for (const pair of pairs) {
    const steps = stepsBetween(port, pair.yours, step)
    if (steps === null || steps <= sentAfter) continue
    const toGo = steps - sentAfter
    if (!next || toGo < next.toGo) next = { pair, toGo }
  }
  return next
}
