// For two NATs that both count, one port per remote endpoint: this is the side that advances its counter. Nobody can
// predict the counter for the time a letter takes, but this side can advance it. It announces target ports ahead of
// the counter, and learns towards which of them the other side has opened its NAT. Then it creates new mappings to the
// other side's port until the counter passes the next target. The other side accepts the socket that got this port.
//
//   measuring ──▶ announced ──pairs──▶ locating ──▶ advancing ──▶ waiting for the answer
//      ▲  ▲           │ no pairs             ▲ │                        │ the port went to somebody else
//      │  └───────────┘                      └─┼────────────────────────┘
//      └───────────────all have passed─────────┘

import type { Endpoint } from '../../base/endpoint.ts'
import type { PortBlock } from '../../base/nat-profile.ts'
import type { Via } from '../../base/protocol-machine.ts'
import { type Signal, signalLimits } from '../../base/signaling-message.ts'
import { stepsBetween } from '../port-arithmetic.ts'
import type { Position } from './port-measurement.ts'
import { PortMeasurement, type Reading } from './port-measurement.ts'
import { nextPair, type Pair, targetsAhead } from './port-prediction.ts'
import {
  type ProbeSender,
  retryDelayMs,
  type Tactic,
  type TacticFailure,
  triesToFailure,
  usualMailMs,
} from './tactic.ts'

type PortCounterAdvancerOptions = {
  readonly probeSender: ProbeSender
  readonly now: number
  /** Step of our NAT's counter; 0 when unknown. */
  readonly step: number
  readonly within: PortBlock
  readonly mailMs: number | null
}

/** One of `vias` gets port `yours`: the last one, when nobody else's connection took a step. */
type Burst = { readonly yours: number; readonly toGo: number; readonly vias: readonly Via[] }
type Phase =
  | { readonly name: 'measuring'; readonly first: (Position & { readonly at: number }) | null }
  | { readonly name: 'announced'; readonly targets: readonly number[] }
  | { readonly name: 'locating' }
  | { readonly name: 'advancing'; readonly burst: Burst; readonly to: Endpoint }
  | {
      readonly name: 'waiting'
      readonly likely: readonly Via[]
      readonly to: Endpoint
      readonly resends: number
    }

/**
 * More new mappings at once could harm a home router. The next target is never so far away, unless others were
 * lost.
 */
const maxSteps = 250
/** Extra mappings beyond the target, in case the counter is a little behind. */
const margin = 2
const maxRounds = 6
const retryMs = 700
/** Two samples show the position of the counter; one may be lost. */
const minSamples = 3
/** Samples near the end of the counter, to carry it past the end. */
const maxSamples = 18
const fewStepsLeft = 40
const waitForOthersMs = 5_000
/** Sockets of which one probably has the right port, and the delays of their repeated checks. */
const maxLikely = 6
const resendMs = [400, 1_000, 1_500] as const
/** Packets reserved for samples and for answers to the other side. */
const reserve = 20

export class PortCounterAdvancer implements Tactic {
  readonly #options: PortCounterAdvancerOptions
  readonly #mailMs: number
  #phase: Phase = { name: 'measuring', first: null }
  #round = -1
  #measurement: PortMeasurement | null = null
  #actAt: number | null
  #tries = 0
  #samples = minSamples
  #theirAddress = ''
  #pairs: readonly Pair[] = []
  /** Sockets of the last burst. */
  #vias: readonly Via[] = []
  failure: TacticFailure | null = null

  constructor(options: PortCounterAdvancerOptions) {
    this.#options = options
    this.#mailMs = options.mailMs ?? usualMailMs
    this.#actAt = options.now
  }

  nextAt(): number | null {
    return this.#actAt
  }

  handleSignal(now: number, signal: Signal): void {
    const phase = this.#phase
    if (signal.type !== 'pairs' || signal.round !== this.#round || phase.name !== 'announced') return
    this.#theirAddress = signal.address
    this.#pairs = signal.pairs.filter(({ yours }) => phase.targets.includes(yours))
    this.#phase = { name: 'locating' }
    this.#actAt = now
  }

  act(now: number): void {
    if (this.#measurement?.isSettled) this.#conclude(now)
    if (this.#actAt === null || now < this.#actAt) return
    this.#actAt = null
    switch (this.#phase.name) {
      case 'measuring':
      case 'locating':
        this.#measure()
        return
      case 'announced':
        this.#startOver(now)
        return
      case 'waiting':
        this.#resend(now, this.#phase)
        return
      case 'advancing':
        return
    }
  }

  #measure(): void {
    const layout = Array.from({ length: this.#samples }, () => 'sample' as const)
    const measurement = new PortMeasurement(this.#options.probeSender, layout)
    this.#samples = minSamples
    if (this.#options.probeSender.sendBurst(measurement.probes)) this.#measurement = measurement
  }

  #conclude(now: number): void {
    const reading = this.#measurement?.read(this.#options.step) ?? null
    const position = reading?.bracket.position ?? null
    this.#measurement = null
    if (!reading || !position) {
      this.#retry(now, reading)
      return
    }
    this.#tries = 0
    this.failure = null
    switch (this.#phase.name) {
      case 'measuring':
        this.#announceTargets(now, reading.address, position, this.#phase.first)
        return
      case 'locating':
        this.#advance(now, position)
        return
      case 'advancing':
        this.#wait(now, position, this.#phase)
        return
      default:
        return
    }
  }

  /** Samples were lost, or the counter has just wrapped around. */
  #retry(now: number, reading: Reading | null): void {
    const phase = this.#phase
    if (phase.name === 'advancing') {
      this.#phase = { name: 'waiting', likely: phase.burst.vias.slice(-maxLikely), to: phase.to, resends: 0 }
      this.#actAt = now + retryMs
      return
    }
    this.#actAt = now + retryDelayMs(++this.#tries)
    if (this.#tries >= triesToFailure) this.failure = reading ? 'unpredictable-ports' : 'no-samples'
  }

  #announceTargets(
    now: number,
    address: string,
    position: Position,
    first: (Position & { readonly at: number }) | null,
  ): void {
    const { probeSender, within } = this.#options
    // Observes longer when there is time: the observed rate decides how far the targets must reach.
    const observeMs = Math.min(10_000, Math.max(2_000, this.#mailMs / 6))
    const steps = first && stepsBetween(first.port, position.port, position.step)
    if (!first || steps === null) {
      this.#phase = { name: 'measuring', first: { ...position, at: now } }
      this.#actAt = now + observeMs
      return
    }
    const own = first.sentAfter + minSamples - position.sentAfter
    const traffic = { seen: Math.max(0, steps - own), overMs: now - first.at }
    const targets = targetsAhead(position, traffic, this.#mailMs, within)
    if (targets.length < 2) {
      this.#passEnd(now, position)
      return
    }
    this.#round++
    this.#phase = { name: 'announced', targets }
    // Letters may be slower than before: each round waits twice as long as the last.
    this.#actAt = now + (4 * this.#mailMs + 30_000) * 2 ** this.#round
    probeSender.sendSignal({ type: 'targets', round: this.#round, address, ports: targets })
  }

  /** The counter is about to wrap around. Targets can only be announced after that. */
  #passEnd(now: number, { port, step }: Position): void {
    const { within } = this.#options
    const left = Math.abs((step > 0 ? within.last : within.first) - port) / Math.abs(step)
    this.#phase = { name: 'measuring', first: null }
    // Other connections will soon carry it past the end if there are many, which is why no target fitted in.
    this.#samples = left <= fewStepsLeft ? maxSamples : minSamples
    this.#actAt = now + (left <= fewStepsLeft ? retryMs : waitForOthersMs)
  }

  #advance(now: number, position: Position): void {
    const { probeSender } = this.#options
    const next = nextPair(this.#pairs, position)
    if (!next || next.toGo > Math.min(maxSteps, probeSender.remaining - reserve)) {
      this.#startOver(now)
      return
    }
    const { pair, toGo } = next
    const to = { address: this.#theirAddress, port: pair.mine }
    const vias: Via[] = []
    for (let sent = 0; sent < toGo + margin; sent++) {
      const via = probeSender.newVia()
      vias.push(via)
      probeSender.sendBurst([{ type: 'check', to, via }])
    }
    this.#release(this.#vias)
    this.#vias = vias
    this.#phase = { name: 'advancing', burst: { yours: pair.yours, toGo, vias }, to }
    this.#measure()
    if (!this.#measurement) this.#startOver(now)
  }

  /** The check with the right port may have been lost: the likely sockets send it again. */
  #wait(now: number, position: Position, { burst, to }: Phase & { name: 'advancing' }): void {
    const { yours, toGo, vias } = burst
    // How far the counter is past the target shows how many steps other connections took.
    const beyond = stepsBetween(yours, position.port, position.step) ?? 0
    const foreign = Math.max(0, beyond - (margin + minSamples - position.sentAfter))
    const likely = vias.slice(Math.max(0, toGo - 1 - Math.min(foreign, maxLikely - 1)), toGo)
    this.#phase = { name: 'waiting', likely, to, resends: 0 }
    this.#actAt = now
  }

  #resend(now: number, phase: Phase & { name: 'waiting' }): void {
    const { probeSender } = this.#options
    const waitMs = resendMs[phase.resends]
    if (waitMs === undefined) {
      this.#phase = { name: 'locating' }
      this.#actAt = now
      return
    }
    for (const via of phase.likely) probeSender.sendBurst([{ type: 'check', to: phase.to, via }])
    this.#phase = { ...phase, resends: phase.resends + 1 }
    this.#actAt = now + waitMs
  }

  #startOver(now: number): void {
    this.#pairs = []
    this.#release(this.#vias)
    this.#vias = []
    if (this.#round + 1 >= Math.min(maxRounds, signalLimits.rounds)) return
    this.#phase = { name: 'measuring', first: null }
    this.#actAt = now
  }

  #release(vias: readonly Via[]): void {
    const { probeSender } = this.#options
    probeSender.close(vias.filter((via) => !probeSender.hasReceivedOn(via)))
  }
}
