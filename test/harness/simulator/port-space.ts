// The ports of one public address of a NAT: how the next one is chosen (RFC 4787 §4.2), and which ports other
// people's connections take. They open connections at random times, each with a port for a while. This is
// computed only when a port is needed, so that idle time costs nothing.

import type { Clock } from '../../../src/base/clock.ts'
import type { Allocation, PortBlock } from '../../../src/base/nat-profile.ts'

/** A number is the step of a counter. */
export type PortChoice = 'preserving' | 'random' | number

export type PortSpaceOptions = {
  readonly clock: Clock
  readonly random: () => number
  readonly choice: PortChoice
  /** Size of the subscriber's own port block; all ports from 1024 by default. */
  readonly blockPorts?: number
  /** Average number of connections that others open per second. */
  readonly foreignPerSecond?: number
  /** How many of them open at once, as when a page is loaded; default 1. */
  readonly foreignAtOnce?: number
  readonly isTaken: (port: number) => boolean
}

const allPorts: PortBlock = { first: 1024, last: 65535 }
/** How long another connection keeps its port: from a DNS query to a video. */
const foreignLifeMs = { least: 5_000, most: 120_000 }
const randomTries = 64

export class PortSpace {
  readonly #options: PortSpaceOptions
  readonly block: PortBlock
  #counter: number
  /** Ports of other connections, and until when they are in use. */
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

  /** Null when no port is free. `preferred`: the port used inside. */
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

  /** Exponential gaps: connections are equally likely at any time. */
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

/** After one end it continues at the other, on the first port that this step can reach from there. */
function next(port: number, step: number, { first, last }: PortBlock): number {
  const candidate = port + step
  const stride = Math.abs(step)
  if (candidate > last) return first + ((candidate - first) % stride)
  if (candidate < first) return last - ((last - candidate) % stride)
  return candidate
}
