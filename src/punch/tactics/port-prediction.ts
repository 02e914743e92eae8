// Which ports to name to the other side, when our NAT counts and two letters pass before anybody comes: ahead of the
// counter, as far as other people's connections may carry it meanwhile, close enough that we can make up the rest of
// the way to the next one by ourselves.

import type { PortBlock } from '../../base/nat-profile.ts'
import { isWithin, stepsBetween } from '../port-arithmetic.ts'
import type { Position } from './port-measurement.ts'

/** Connections of others: seen so many in so long. */
type ForeignTraffic = { readonly seen: number; readonly overMs: number }

const maxTargets = 24
const fewestStepsApart = 20
/** What we are ready to spend on the way from one to the next. */
const mostStepsApart = 100
/** Our own next samples take the steps before it. */
const firstStep = 8
/** A second, at least assumed: a quiet NAT need not stay quiet. */
const leastForeignRate = 1

/**
 * Ports in the order in which the counter will pass them. `mailMs`: of a letter and its answer, as seen lately; the two
 * letters to come may take a third less, or half as much again, and the other side may not have started yet.
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
  const most = Math.max((seen + spread) / overMs, leastForeignRate / 1_000)
  const first = Math.floor(least * 1.3 * mailMs) + firstStep
  const last = first + Math.ceil(most * (3.5 * mailMs + 8_000) - least * 1.3 * mailMs)
  const apart = Math.min(
    mostStepsApart,
    Math.max(fewestStepsApart, Math.ceil((last - first) / (maxTargets - 1))),
  )
  const targets: number[] = []
  for (let steps = first; targets.length < maxTargets; steps += apart) {
    const target = port + steps * step
    // Beyond an end nobody knows where it goes on.
    if (!isWithin(target, within)) break
    targets.push(target)
    if (steps >= last) break
  }
  return targets
}

/** The other side holds its `mine` open for what comes from our `yours`. */
export type Pair = { readonly mine: number; readonly yours: number }

/** The first that the counter has not passed, and how many new mappings lead up to it, itself included. */
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
