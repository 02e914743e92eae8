// Determines how a NAT chooses ports, from the ports of new sockets opened one right after the other (D2).

import { greatestCommonDivisor } from '../base/greatest-common-divisor.ts'
import type { Allocation, PortBlock } from '../base/nat-profile.ts'

/** Fewer samples show nothing: any five ports may happen to rise. */
export const minSamples = 6
/** With fewer samples a random list may look like a counter that wrapped around. */
const minSamplesForWrap = 8
/** Fraction of the samples that may be out of order: overtaken in transit, or given to a repeated request. */
const maxOutlierFraction = 1 / 6
/** Largest median gap of a counter; a faster one cannot be predicted anyway. */
const maxGap = 1_024
/** NATs give no lower ports to clients. */
const lowestPort = 1_024
const highestPort = 65_535
/** Probability of mistaking ports drawn from the full range for those of a block. */
const chanceOfBlock = 1e-6
/** A counter that wrapped around did so at the ends of a block if the block is no larger than this. */
const largestCountedBlock = 4_096
/** Carriers' blocks mostly start at a multiple of their size. */
const alignedSizes = [128, 256, 512, 1_024, 2_048, 4_096, 16_384] as const

/**
 * `ports`: of new sockets, in the order of their requests, all on one public address. Never returns
 * `preserving`, which needs the inner ports.
 */
export function allocationOf(ports: readonly number[]): Allocation {
  // No NAT gives one port to two sockets at once, so the samples are false.
  if (ports.length < minSamples || new Set(ports).size < ports.length) return { type: 'unknown' }
  const [rising, falling] = [longestRun(ports, 1), longestRun(ports, -1)]
  const run = falling.kept > rising.kept ? falling : rising
  const missing = ports.length - run.kept
  const step = stepOf(run.gaps)
  const isTight = median(run.gaps) <= maxGap
  const isRegular = run.gaps.filter((gap) => gap === step).length * 2 >= run.gaps.length
  if (isTight && (missing === 0 || (missing <= ports.length * maxOutlierFraction && isRegular))) {
    const block = run.parts.length > 1 ? countedBlock(run.parts) : null
    return { type: 'sequential', step: step * run.direction, ...(block && { block }) }
  }
  // Too ordered to be random, too irregular to rely on.
  if (isTight && missing * 4 <= ports.length && run.parts.length === 1) return { type: 'unknown' }
  const block = drawnBlock(ports)
  return { type: 'random', ...(block && { block }) }
}

type Run = {
  readonly direction: 1 | -1
  readonly kept: number
  /** Its ports in order: one list, or two when the counter wrapped around. */
  readonly parts: readonly (readonly number[])[]
  /** Gaps between consecutive ports, above 0; not across the wrap. */
  readonly gaps: readonly number[]
}

/** The longest run of samples in one direction that wraps around at most once. */
function longestRun(ports: readonly number[], direction: 1 | -1): Run {
  const values = ports.map((port) => port * direction)
  const straight = [increasing(values)]
  const wrapped: number[][][] = []
  for (let cut = 1; ports.length >= minSamplesForWrap && cut < ports.length; cut++) {
    const parts = [increasing(values.slice(0, cut)), increasing(values.slice(cut))]
    // After a wrap, all of the second part lies before all of the first.
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

/** The longest increasing subsequence; the lists have about a dozen entries. */
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
 * The most frequent gap, if it is also the smallest: other connections make gaps larger, never smaller.
 * Otherwise the greatest common divisor, which is a multiple of the true step however many connections came in
 * between (D2).
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

/** A single port before or after all others may be an outlier. */
function countedBlock(parts: Run['parts']): PortBlock | null {
  const ports = parts.flat()
  const [first, last] = [Math.min(...ports), Math.max(...ports)]
  if (parts.some((part) => part.length < 2)) return null
  return last - first < largestCountedBlock ? { first, last } : null
}

/**
 * The block of random samples, when it is much smaller than all ports. It is the aligned block around them, if
 * they fill it well. Otherwise a margin is added on both sides: n samples of a block leave on average 1/(n+1)
 * of it free at each end. The margin is half as much again, because ports left out are never found while extra
 * ports only cost packets.
 */
function drawnBlock(ports: readonly number[]): PortBlock | null {
  const [lowest, highest] = [Math.min(...ports), Math.max(...ports)]
  const span = highest - lowest + 1
  // The probability that n random ports lie in one fraction f of the range is n·f^(n-1).
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
