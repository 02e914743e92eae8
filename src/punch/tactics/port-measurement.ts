// A volley with samples in it, and what they say of our NAT's counter when all are settled.

import type { Sample } from '../port-sampler.ts'
import { PortBracket } from './port-bracket.ts'
import type { Probe, ProbeSender } from './tactic.ts'

export type Reading = {
  /** The public address of our NAT, as most samples have it. */
  readonly address: string
  readonly bracket: PortBracket
}

export class PortMeasurement {
  readonly shots: readonly Probe[]
  readonly #samples: readonly Sample[]
  readonly #ownAddresses: readonly string[]

  /** `layout`: shots, and `sample` where a new sample goes. */
  constructor(means: Pick<ProbeSender, 'newVia' | 'ownAddresses'>, layout: readonly (Probe | 'sample')[]) {
    this.#ownAddresses = means.ownAddresses
    this.shots = layout.map((part) =>
      part === 'sample'
        ? { type: 'sample', sample: { via: means.newVia(), mapped: null, isSettled: false } }
        : part,
    )
    this.#samples = this.shots.flatMap((shot) => (shot.type === 'sample' ? [shot.sample] : []))
  }

  get isSettled(): boolean {
    return this.#samples.every(({ isSettled }) => isSettled)
  }

  /** `step`: the counter's as far as known, else 0. Null when no sample was answered. */
  read(step: number): Reading | null {
    const address = this.#address()
    if (address === null) return null
    const sent = this.shots.map((shot) => {
      if (shot.type !== 'sample') return { type: 'other' } as const
      const { mapped } = shot.sample
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
