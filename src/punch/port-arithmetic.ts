// Arithmetic with ports: the steps of a NAT's counter, port ranges in signals, and which ports to try next.

import type { PortBlock } from '../base/nat-profile.ts'
import type { PortRange } from '../base/signaling-message.ts'

/** Steps of the counter from one value to a later one; null when no number of steps leads there. */
export function stepsBetween(from: number, to: number, step: number): number | null {
  const steps = (to - from) / step
  return Number.isInteger(steps) && steps >= 0 ? steps : null
}

export function isWithin(port: number, { first, last }: PortBlock): boolean {
  return port >= first && port <= last
}

/** The ports of the ranges in their order, each once, at most `most`. */
export function portsOf(ranges: readonly PortRange[], most: number): number[] {
  const ports = new Set<number>()
  for (const { first, last, step } of ranges) {
    for (let port = first; port <= last && ports.size < most; port += step) {
      if (port >= 1 && port <= 65535) ports.add(port)
    }
  }
  return [...ports]
}

/**
 * Ports to try when none of the signalled ports answers (D5): first between them in smaller steps, then in
 * steps of 1, then around them at growing distance. Each port once, no signalled one, at most `most`.
 */
export function portsAround(ranges: readonly PortRange[], within: PortBlock, most: number): number[] {
  const known = new Set(portsOf(ranges, 65535))
  const found = new Set<number>()
  const add = (port: number) => {
    if (found.size < most && isWithin(port, within) && !known.has(port)) found.add(port)
  }
  for (const { first, last, step } of ranges) {
    for (const finer of divisorsBelow(step)) {
      for (let port = first - step; port <= last + step; port += finer) add(port)
    }
  }
  for (let distance = 1; distance <= most && found.size < most; distance++) {
    for (const { first, last, step } of ranges) {
      add(last + distance * step)
      add(first - distance * step)
    }
  }
  for (let distance = 1; distance <= 65535 && found.size < most; distance++) {
    for (const { first, last } of ranges) {
      add(last + distance)
      add(first - distance)
    }
  }
  return [...found]
}

/** Largest first, 1 last. There are few, since steps are small. */
function divisorsBelow(step: number): number[] {
  const divisors: number[] = []
  for (let divisor = Math.min(Math.floor(step / 2), 64); divisor >= 1; divisor--) {
    if (step % divisor === 0) divisors.push(divisor)
  }
  return divisors
}

/** Random ports without repetition; all of them, in random order, when `count` is larger than the range. */
export function drawPorts({ first, last }: PortBlock, count: number, random: () => number): number[] {
  const size = last - first + 1
  // A shuffle that stops early and stores only the swapped positions.
  const moved = new Map<number, number>()
  const at = (index: number) => moved.get(index) ?? index
  const drawn: number[] = []
  for (let index = 0; index < Math.min(count, size); index++) {
    const other = index + Math.floor(random() * (size - index))
    drawn.push(first + at(other))
    moved.set(other, at(index))
  }
  return drawn
}
