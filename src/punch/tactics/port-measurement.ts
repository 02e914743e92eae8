// Finds the port that our NAT gave to a packet that nobody answers. Samples sent directly before and after the
// packet bracket its port (D4). Every new mapping advances the counter by one step, in the order in which we
// create them. Other steps between two samples belong to other people behind the NAT.
//
//   sent:   sample  sample  check  sample  sample
//   port:    4010    4011     ?     4013    4014        so it is 4012
//
// Servers may lie and answers may be lost, hence several samples on each side. Of all pairs around a packet,
// the one with the fewest foreign steps counts.

import { greatestCommonDivisor } from '../../base/greatest-common-divisor.ts'
import type { PortRange } from '../../base/signaling-message.ts'
import { stepsBetween } from '../port-arithmetic.ts'
import type { Sample } from '../port-sampler.ts'
import type { Probe, ProbeSender } from './tactic.ts'

/**
 * What was sent, in order, each from a new socket: a sample with its port (null when unknown), or another
 * packet.
 */
export type Sent = { readonly type: 'sample'; readonly port: number | null } | { readonly type: 'other' }

/** Most foreign steps between two samples. With more, a counter cannot be told from chance. */
const maxForeign = 32
/** Largest distance between samples of one counter, while the step is unknown. */
const unknownStepReach = 1_024

type SamplePort = { readonly index: number; readonly port: number }

/** `sentAfter`: packets we sent after that sample; each has advanced the counter by one step. */
export type Position = { readonly port: number; readonly step: number; readonly sentAfter: number }

export class PortBracket {
  readonly #length: number
  readonly #samplePorts: readonly SamplePort[]
  readonly #knownStep: number

  /** `knownStep`: the profile's step, 0 when unknown. It may be a multiple of the real one. */
  constructor(sent: readonly Sent[], knownStep: number) {
    this.#knownStep = knownStep
    this.#length = sent.length
    this.#samplePorts = sent.flatMap((one, index) =>
      one.type === 'sample' && one.port !== null ? [{ index, port: one.port }] : [],
    )
  }

  /** The ports that the packet at `index` may have got; null when the samples do not show it. */
  at(index: number): PortRange | null {
    let best: { range: PortRange; foreign: number } | null = null
    for (const before of this.#samplePorts) {
      if (before.index >= index) continue
      for (const after of this.#samplePorts) {
        if (after.index <= index) continue
        const found = this.#rangeBetween(before, after, index)
        if (found && (!best || found.foreign < best.foreign)) best = found
      }
    }
    return best?.range ?? null
  }

  /** The step shown by the samples near `port`; 0 when they show none. */
  stepNear(port: number): number {
    const reach = this.#knownStep === 0 ? unknownStepReach : 2 * maxForeign * Math.abs(this.#knownStep)
    const near = this.#samplePorts.filter((sample) => Math.abs(sample.port - port) <= reach)
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

  /** The counter at the last sample that is consistent with another one; null when there is none. */
  get position(): Position | null {
    for (const last of this.#samplePorts.toReversed()) {
      const step = this.stepNear(last.port)
      const fits = this.#samplePorts.some(
        (other) => other.index < last.index && this.#foreignSteps(other, last, step) !== null,
      )
      if (step !== 0 && fits) return { port: last.port, step, sentAfter: this.#length - 1 - last.index }
    }
    return null
  }

  #rangeBetween(
    before: SamplePort,
    after: SamplePort,
    index: number,
  ): { range: PortRange; foreign: number } | null {
    const step = this.stepNear(before.port)
    const foreign = this.#foreignSteps(before, after, step)
    if (foreign === null) return null
    const one = before.port + (index - before.index) * step
    const other = after.port - (after.index - index) * step
    const range = { first: Math.min(one, other), last: Math.max(one, other), step: Math.abs(step) }
    return { range, foreign }
  }

  /** Steps between the two samples that were not ours; null when they do not belong to one counter. */
  #foreignSteps(before: SamplePort, after: SamplePort, step: number): number | null {
    if (step === 0) return null
    const steps = stepsBetween(before.port, after.port, step)
    if (steps === null) return null
    const foreign = steps - (after.index - before.index)
    return foreign >= 0 && foreign <= maxForeign ? foreign : null
  }
}

export type Reading = {
  /** The public address of our NAT in most samples. */
  readonly address: string
  readonly bracket: PortBracket
}

/** A burst of probes and samples. When all samples are settled, it shows the NAT's counter. */
export class PortMeasurement {
  readonly probes: readonly Probe[]
  readonly #samples: readonly Sample[]
  readonly #ownAddresses: readonly string[]

  /** `layout`: probes, with `'sample'` where a new sample belongs. */
  constructor(
    probeSender: Pick<ProbeSender, 'newVia' | 'ownAddresses'>,
    layout: readonly (Probe | 'sample')[],
  ) {
    this.#ownAddresses = probeSender.ownAddresses
    this.probes = layout.map((entry) =>
      entry === 'sample'
        ? { type: 'sample', sample: { via: probeSender.newVia(), mapped: null, isSettled: false } }
        : entry,
    )
    this.#samples = this.probes.flatMap((probe) => (probe.type === 'sample' ? [probe.sample] : []))
  }

  get isSettled(): boolean {
    return this.#samples.every(({ isSettled }) => isSettled)
  }

  /** `step`: the counter's, 0 when unknown. Null when no sample was answered. */
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

  /** When servers disagree, a previously known address breaks a tie. */
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
