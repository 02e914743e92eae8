// Two NATs that both count, one port for each remote endpoint: the side that moves its counter on. Nobody can say now where its counter
// will be when a letter has arrived, but it can be moved on: so this side names targets ahead of it, learns which of
// them the other side has opened itself towards, and then makes new mappings to the other side's port until its
// counter passes the next target. The socket that got just that port is let in.
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
  /** Of our NAT's counter, as far as known; else 0. */
  readonly step: number
  readonly within: PortBlock
  readonly mailMs: number | null
}

/** One of `vias` gets port `yours`: the last, when nobody else took a step of the way. */
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

/** More than this at once and a NAT of a home might suffer; the next target is never so far, unless others were lost. */
const maxSteps = 250
/** Mappings beyond the target, should the counter be a little behind. */
const margin = 2
const maxRounds = 6
const retryMs = 700
/** Two of them tell where the counter is, should one be lost. */
const fewestSamples = 3
/** Near the end of the counter, to carry it over. */
const mostSamples = 18
const fewStepsLeft = 40
const waitForOthersMs = 5_000
/** Sockets of which one probably has the right port, and how often their check is sent again. */
const maxLikely = 6
const resendMs = [400, 1_000, 1_500] as const
/** Left over for samples and for what the other side needs of us. */
const reserve = 20

export class PortCounterAdvancer implements Tactic {
  readonly #options: PortCounterAdvancerOptions
  readonly #mailMs: number
  #phase: Phase = { name: 'measuring', first: null }
  #round = -1
  #measurement: PortMeasurement | null = null
  #actAt: number | null
  #tries = 0
  #samples = fewestSamples
  #theirAddress = ''
  #pairs: readonly Pair[] = []
  /** Of the last burst. */
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
    this.#samples = fewestSamples
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
        this.#nameTargets(now, reading.address, position, this.#phase.first)
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

  /** Answers were lost, or the counter has just passed its end. */
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

  #nameTargets(
    now: number,
    address: string,
    position: Position,
    first: (Position & { readonly at: number }) | null,
  ): void {
    const { probeSender, within } = this.#options
    // A longer look where there is time: it is what tells how far the targets must reach.
    const lookMs = Math.min(10_000, Math.max(2_000, this.#mailMs / 6))
    const steps = first && stepsBetween(first.port, position.port, position.step)
    if (!first || steps === null) {
      this.#phase = { name: 'measuring', first: { ...position, at: now } }
      this.#actAt = now + lookMs
      return
    }
    const own = first.sentAfter + fewestSamples - position.sentAfter
    const traffic = { seen: Math.max(0, steps - own), overMs: now - first.at }
    const targets = targetsAhead(position, traffic, this.#mailMs, within)
    if (targets.length < 2) {
      this.#passEnd(now, position)
      return
    }
    this.#round++
    this.#phase = { name: 'announced', targets }
    // Letters may be slower than they were: each round waits twice as long as the one before.
    this.#actAt = now + (4 * this.#mailMs + 30_000) * 2 ** this.#round
    probeSender.sendSignal({ type: 'targets', round: this.#round, address, ports: targets })
  }

  /** The counter is about to begin again somewhere: only beyond that can targets be named. */
  #passEnd(now: number, { port, step }: Position): void {
    const { within } = this.#options
    const left = Math.abs((step > 0 ? within.last : within.first) - port) / Math.abs(step)
    this.#phase = { name: 'measuring', first: null }
    // Others will carry it over the end soon if they are many, which is why no target fitted in.
    this.#samples = left <= fewStepsLeft ? mostSamples : fewestSamples
    this.#actAt = now + (left <= fewStepsLeft ? retryMs : waitForOthersMs)
  }

  #advance(now: number, position: Position): void {
    const { probeSender } = this.#options
    const ahead = nextPair(this.#pairs, position)
    if (!ahead || ahead.toGo > Math.min(maxSteps, probeSender.left - reserve)) {
      this.#startOver(now)
      return
    }
    const { pair, toGo } = ahead
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

  /** The check of the socket with the right port may have been lost: those that may be it send it again. */
  #wait(now: number, position: Position, { burst, to }: Phase & { name: 'advancing' }): void {
    const { yours, toGo, vias } = burst
    // How far the counter is beyond the target tells how many of the steps others took.
    const beyond = stepsBetween(yours, position.port, position.step) ?? 0
    const foreign = Math.max(0, beyond - (margin + fewestSamples - position.sentAfter))
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
    probeSender.close(vias.filter((via) => !probeSender.heardBy(via)))
  }
}
