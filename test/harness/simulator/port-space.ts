// The ports of one public address of a NAT: how the next one is chosen (RFC 4787 §4.2), and what other people
// behind the same NAT do to it. They open connections at random instants, each of which takes a port for a while;
// that is worked out only when a port is asked for, so that a quiet hour costs nothing.

import type { Clock } from '../../../src/base/clock.ts'
import type { Allocation, PortBlock } from '../../../src/base/nat-profile.ts'

/** A number: ports are handed out in steps of it. */
export type PortChoice = 'preserving' | 'random' | number

export type PortSpaceOptions = {
  readonly clock: Clock
  readonly random: () => number
  readonly choice: PortChoice
  /** Size of the block kept for this one subscriber; all ports from 1024 when left out. */
  readonly blockPorts?: number
  /** Connections that others open in a second, on average. */
  readonly foreignPerSecond?: number
  /** So many of them come at one instant, as when a page is opened; 1 when left out. */
  readonly foreignAtOnce?: number
  readonly isTaken: (port: number) => boolean
}

const allPorts: PortBlock = { first: 1024, last: 65535 }
/** How long a stranger's connection keeps its port: from a question to a name server to a video. */
const foreignLifeMs = { least: 5_000, most: 120_000 }
const randomTries = 64

export class PortSpace {
  readonly #options: PortSpaceOptions
  readonly block: PortBlock
  #counter: number
  /** Until when strangers hold their ports. */
  readonly #foreign = new Map<number, number>()
  #nextForeignAt: number

  constructor(options: PortSpaceOptions) {
    this.#options = options
    const { random, blockPorts, clock } = options
    this.block = blockPorts ? drawBlock(random, blockPorts) : allPorts
    this.#counter = this.#drawPort()
    this.#nextForeignAt = clock.now() + this.#foreignGapMs()
  }

  get allocation(): Allocation {
    const { choice, blockPorts } = this.#options
    if (choice === 'preserving') return { type: 'preserving' }
    const block = blockPorts ? { block: this.block } : {}
    return choice === 'random' ? { type: 'random', ...block } : { type: 'sequential', step: choice, ...block }
  }

  /** Null when none is free. `preferred`: the port that the inside uses itself. */
  allocate(preferred: number): number | null {
    const { clock, foreignAtOnce = 1 } = this.#options
    const now = clock.now()
    while (this.#nextForeignAt <= now) {
      const at = this.#nextForeignAt
      for (let left = foreignAtOnce; left > 0; left--) this.#openForeign(at)
      this.#nextForeignAt = at + this.#foreignGapMs()
    }
    return this.#choose(now, preferred)
  }

  #openForeign(at: number): void {
    const port = this.#choose(at, this.#drawPort())
    const { least, most } = foreignLifeMs
    if (port !== null) this.#foreign.set(port, at + least + this.#options.random() * (most - least))
  }

  #choose(at: number, preferred: number): number | null {
    const { choice } = this.#options
    if (choice === 'random') return this.#chooseRandom(at)
    const step = choice === 'preserving' ? 1 : choice
    const { first, last } = this.block
    let port = choice === 'preserving' ? preferred : next(this.#counter, step, this.block)
    for (let tries = Math.ceil((last - first + 1) / Math.abs(step)); tries > 0; tries--) {
      if (!this.#isTaken(port, at)) {
        if (choice !== 'preserving') this.#counter = port
        return port
      }
      port = next(port, step, this.block)
    }
    return null
  }

  #chooseRandom(at: number): number | null {
    for (let tries = 0; tries < randomTries; tries++) {
      const port = this.#drawPort()
      if (!this.#isTaken(port, at)) return port
    }
    for (let port = this.block.first; port <= this.block.last; port++) {
      if (!this.#isTaken(port, at)) return port
    }
    return null
  }

  #isTaken(port: number, at: number): boolean {
    const until = this.#foreign.get(port)
    if (until !== undefined) {
      if (until > at) return true
      this.#foreign.delete(port)
    }
    return this.#options.isTaken(port)
  }

  #drawPort(): number {
    const { first, last } = this.block
    return first + Math.floor(this.#options.random() * (last - first + 1))
  }

  /** Exponential: connections fall at any instant alike. */
  #foreignGapMs(): number {
    const { random, foreignPerSecond = 0, foreignAtOnce = 1 } = this.#options
    return foreignPerSecond === 0
      ? Number.POSITIVE_INFINITY
      : (-Math.log(1 - random()) / foreignPerSecond) * foreignAtOnce * 1_000
  }
}

/** Blocks do not overlap, so they start at multiples of their size. */
function drawBlock(random: () => number, size: number): PortBlock {
  const lowest = Math.ceil(allPorts.first / size)
  const highest = Math.floor((allPorts.last + 1) / size) - 1
  const first = (lowest + Math.floor(random() * (highest - lowest + 1))) * size
  return { first, last: first + size - 1 }
}

/** Beyond an end it goes on at the other one, on the first port that the same step from there could have met. */
function next(port: number, step: number, { first, last }: PortBlock): number {
  const candidate = port + step
  const stride = Math.abs(step)
  if (candidate > last) return first + ((candidate - first) % stride)
  if (candidate < first) return last - ((last - candidate) % stride)
  return candidate
}
