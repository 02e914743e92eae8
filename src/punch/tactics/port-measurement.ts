// Which port did our NAT give to a packet that nobody answers? Samples sent right before and right after it bracket it
// (D4): every new mapping advances the counter by one step, ours in the order in which we made them, and what
// else lies between two samples other people behind the NAT took.
//
//   sent:   sample  sample  check  sample  sample
//   port:    4010    4011     ?     4013    4014        so it is 4012
//
// Servers may lie and answers may be missing, hence several samples on each side: of all pairs around a packet the one
// counts that leaves the least room.

import { greatestCommonDivisor } from '../../base/greatest-common-divisor.ts'
import type { PortRange } from '../../base/signaling-message.ts'
import { stepsBetween } from '../port-arithmetic.ts'
import type { Sample } from '../port-sampler.ts'
import type { Probe, ProbeSender } from './tactic.ts'

/** In the order of sending, each from a fresh socket: a sample's port, null where unknown, or something else sent. */
export type Sent = { readonly type: 'sample'; readonly port: number | null } | { readonly type: 'other' }

/** Steps that others may have taken between two samples. Where it is more we cannot tell a counter from chance. */
const maxForeign = 32
/** Ports between samples of one counter, while the step is unknown. */
const unknownReach = 1_024

type Place = { readonly index: number; readonly port: number }

/** `sentAfter`: packets of ours after that sample, each of which has moved the counter on by one step. */
export type Position = { readonly port: number; readonly step: number; readonly sentAfter: number }

export class PortBracket {
  readonly #length: number
  readonly #places: readonly Place[]
  readonly #knownStep: number

  /** `knownStep`: from the profile, 0 when unknown. It may be a multiple of the real one. */
  constructor(sent: readonly Sent[], knownStep: number) {
    this.#knownStep = knownStep
    this.#length = sent.length
    this.#places = sent.flatMap((one, index) =>
      one.type === 'sample' && one.port !== null ? [{ index, port: one.port }] : [],
    )
  }

  /** Ports that the packet at `index` may have been given; null when the samples do not tell. */
  at(index: number): PortRange | null {
    let best: { range: PortRange; foreign: number } | null = null
    for (const before of this.#places) {
      if (before.index >= index) continue
      for (const after of this.#places) {
        if (after.index <= index) continue
        const found = this.#between(before, after, index)
        if (found && (!best || found.foreign < best.foreign)) best = found
      }
    }
    return best?.range ?? null
  }

  /** The step as the samples near `port` show it, 0 when they do not. */
  stepNear(port: number): number {
    const reach = this.#knownStep === 0 ? unknownReach : 2 * maxForeign * Math.abs(this.#knownStep)
    const near = this.#places.filter((place) => Math.abs(place.port - port) <= reach)
    let size = Math.abs(this.#knownStep)
    let [rising, falling] = [0, 0]
    for (const [position, { port: one }] of near.entries()) {
      const next = near[position + 1]
      if (!next || next.port === one) continue
      size = greatestCommonDivisor(size, next.port - one)
      if (next.port > one) rising++
      else falling++
    }
    const sign = this.#knownStep !== 0 ? Math.sign(this.#knownStep) : Math.sign(rising - falling)
    return size * sign
  }

  /** Where the counter was at the last sample that fits with another one; null when none does. */
  get position(): Position | null {
    for (const last of this.#places.toReversed()) {
      const step = this.stepNear(last.port)
      const fits = this.#places.some(
        (other) => other.index < last.index && this.#foreignBetween(other, last, step) !== null,
      )
      if (step !== 0 && fits) return { port: last.port, step, sentAfter: this.#length - 1 - last.index }
    }
    return null
  }

  #between(before: Place, after: Place, index: number): { range: PortRange; foreign: number } | null {
    const step = this.stepNear(before.port)
    const foreign = this.#foreignBetween(before, after, step)
    if (foreign === null) return null
    const one = before.port + (index - before.index) * step
    const other = after.port - (after.index - index) * step
    const range = { first: Math.min(one, other), last: Math.max(one, other), step: Math.abs(step) }
    return { range, foreign }
  }

  /** Steps between the two that were not ours; null when they do not belong to one counter. */
  #foreignBetween(before: Place, after: Place, step: number): number | null {
    if (step === 0) return null
    const steps = stepsBetween(before.port, after.port, step)
    if (steps === null) return null
    const foreign = steps - (after.index - before.index)
    return foreign >= 0 && foreign <= maxForeign ? foreign : null
  }
}

export type Reading = {
  /** The public address of our NAT, as most samples have it. */
  readonly address: string
  readonly bracket: PortBracket
}

/** A burst of probes with samples among them, and what the samples say of our NAT's counter when all are settled. */
export class PortMeasurement {
  readonly probes: readonly Probe[]
  readonly #samples: readonly Sample[]
  readonly #ownAddresses: readonly string[]

  /** `layout`: probes, and `sample` where a new sample goes. */
  constructor(
    probeSender: Pick<ProbeSender, 'newVia' | 'ownAddresses'>,
    layout: readonly (Probe | 'sample')[],
  ) {
    this.#ownAddresses = probeSender.ownAddresses
    this.probes = layout.map((part) =>
      part === 'sample'
        ? { type: 'sample', sample: { via: probeSender.newVia(), mapped: null, isSettled: false } }
        : part,
    )
    this.#samples = this.probes.flatMap((probe) => (probe.type === 'sample' ? [probe.sample] : []))
  }

  get isSettled(): boolean {
    return this.#samples.every(({ isSettled }) => isSettled)
  }

  /** `step`: the counter's as far as known, else 0. Null when no sample was answered. */
  read(step: number): Reading | null {
    const address = this.#address()
    if (address === null) return null
    const sent = this.probes.map((probe) => {
      if (probe.type !== 'sample') return { type: 'other' } as const
      const { mapped } = probe.sample
      return { type: 'sample', port: mapped?.address === address ? mapped.port : null } as const
    })
    return { address, bracket: new PortBracket(sent, step) }
  }

  /** Where servers disagree, the address we knew before tips the scales. */
  #address(): string | null {
    const votes = new Map<string, number>()
    for (const { mapped } of this.#samples) {
      if (!mapped) continue
      const { address } = mapped
      votes.set(address, (votes.get(address) ?? (this.#ownAddresses.includes(address) ? 0.5 : 0)) + 1)
    }
    let best: string | null = null
    for (const [address, count] of votes) {
      if (best === null || count > (votes.get(best) ?? 0)) best = address
    }
    return best
  }
}
