// How a NAT chooses ports, from the ports it gave to fresh sockets one right after the other (D2).

import { greatestCommonDivisor } from '../base/greatest-common-divisor.ts'
import type { Allocation, PortBlock } from '../base/nat-profile.ts'

/** Fewer tell nothing: any five ports may happen to rise. */
export const fewestSamples = 6
/** With fewer a shuffled list may look like one that began again. */
const fewestForWrap = 8
/** Part of the samples that may be out of line: overtaken on the way, or given to a request that was repeated. */
const strays = 1 / 6
/** Between two samples; a counter that moves on faster cannot be followed anyway. */
const widestGap = 1_024
/** Ports below are not given to clients. */
const lowestPort = 1_024
const highestPort = 65_535
/** Taking ports drawn from all there are for those of a block may happen once in so many profiles. */
const chanceOfBlock = 1e-6
/** A counter that began again did so at the ends of a block if the ports between them are no more than this. */
const largestCountedBlock = 4_096
/** Blocks of carriers mostly begin at a multiple of their size. */
const alignedSizes = [128, 256, 512, 1_024, 2_048, 4_096, 16_384] as const

/** `ports`: of fresh sockets, in the order in which they were asked for, all on one public address. Never `preserving`,
 *  which only the ports on this side of the NAT can tell. */
export function allocationOf(ports: readonly number[]): Allocation {
  // No NAT gives one port to two sockets at once: somebody made this up.
  if (ports.length < fewestSamples || new Set(ports).size < ports.length) return { type: 'unknown' }
  const [rising, falling] = [longestRun(ports, 1), longestRun(ports, -1)]
  const run = falling.kept > rising.kept ? falling : rising
  const missing = ports.length - run.kept
  const step = stepOf(run.gaps)
  const tight = median(run.gaps) <= widestGap
  const regular = run.gaps.filter((gap) => gap === step).length * 2 >= run.gaps.length
  if (tight && (missing === 0 || (missing <= ports.length * strays && regular))) {
    const block = run.parts.length > 1 ? countedBlock(run.parts) : null
    return { type: 'sequential', step: step * run.direction, ...(block && { block }) }
  }
  // Too orderly for chance, too wild to count on.
  if (tight && missing * 4 <= ports.length && run.parts.length === 1) return { type: 'unknown' }
  const block = drawnBlock(ports)
  return { type: 'random', ...(block && { block }) }
}

type Run = {
  readonly direction: 1 | -1
  readonly kept: number
  /** Its ports in order: one list, or two when the counter began again in between. */
  readonly parts: readonly (readonly number[])[]
  /** Between each two ports, above 0; not across the wrap. */
  readonly gaps: readonly number[]
}

/** The most samples that follow each other in one direction, beginning again at most once. */
function longestRun(ports: readonly number[], direction: 1 | -1): Run {
  const values = ports.map((port) => port * direction)
  const straight = [increasing(values)]
  const wrapped: number[][][] = []
  for (let cut = 1; ports.length >= fewestForWrap && cut < ports.length; cut++) {
    const parts = [increasing(values.slice(0, cut)), increasing(values.slice(cut))]
    // All of the second part lies before all of the first, or it did not begin again.
    if (Math.max(...(parts[1] ?? [])) < Math.min(...(parts[0] ?? []))) wrapped.push(parts)
  }
  const length = (parts: readonly (readonly number[])[]) => parts.reduce((sum, part) => sum + part.length, 0)
  let best: number[][] = straight
  for (const parts of wrapped) if (length(parts) > length(best)) best = parts
  return {
    direction,
    kept: length(best),
    parts: best.map((part) => part.map((value) => value * direction)),
    gaps: best.flatMap((part) => part.slice(1).map((value, at) => value - (part[at] as number))),
  }
}

/** The longest increasing subsequence; lists are a dozen long. */
function increasing(values: readonly number[]): number[] {
  const best: number[][] = []
  for (const value of values) {
    let before: number[] = []
    for (const list of best) if ((list.at(-1) as number) < value && list.length > before.length) before = list
    best.push([...before, value])
  }
  return best.reduce((a, b) => (b.length > a.length ? b : a), [])
}

/**
 * The gap seen most, if it is also the smallest: other connections in between make gaps larger, never smaller. Else the
 * greatest common divisor, which is a multiple of the true step however many connections came in between (D2).
 */
function stepOf(gaps: readonly number[]): number {
  if (gaps.length === 0) return 1
  const smallest = Math.min(...gaps)
  const times = gaps.filter((gap) => gap === smallest).length
  return times * 2 >= gaps.length ? smallest : gaps.reduce((a, b) => greatestCommonDivisor(a, b))
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

/** A single port before or after all others may as well be a stray one. */
function countedBlock(parts: Run['parts']): PortBlock | null {
  const ports = parts.flat()
  const [first, last] = [Math.min(...ports), Math.max(...ports)]
  if (parts.some((part) => part.length < 2)) return null
  return last - first < largestCountedBlock ? { first, last } : null
}

/**
 * Where random samples come from, when that is much less than all ports. The aligned block around them, if they fill it
 * well; else a margin on both sides: n samples of a block leave on average 1/(n+1) of it free at each end, and half as
 * much again is added, for ports left out are never found while ports too many only cost packets.
 */
function drawnBlock(ports: readonly number[]): PortBlock | null {
  const [lowest, highest] = [Math.min(...ports), Math.max(...ports)]
  const span = highest - lowest + 1
  // That n drawn from all lie in one part f of them has the chance n·f^(n-1).
  const n = ports.length
  const part = (chanceOfBlock / n) ** (1 / (n - 1))
  if (span > part * (highestPort - lowestPort + 1)) return null
  for (const size of alignedSizes) {
    const first = Math.floor(lowest / size) * size
    if (first + size > highest && size <= span * 1.6) return { first, last: first + size - 1 }
  }
  const margin = Math.ceil((span / (n - 1)) * 1.5)
  return {
    first: Math.max(Math.min(lowest, lowestPort), lowest - margin),
    last: Math.min(highestPort, highest + margin),
  }
}
