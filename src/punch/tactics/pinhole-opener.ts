// For two NATs that both count, one port per remote endpoint: this is the side that opens pinholes. It learns
// which ports the other side's counter will reach. Towards each of them it opens its own NAT from a separate
// socket, and announces the port of that mapping. It keeps the mappings open until the other side's packet
// comes (for the other side see port-counter-advancer.ts).
//
//   waiting ──targets──▶ opening, sampled ──▶ pairs announced, held open ──▶ given up
//      ▲                                          │ targets of a later round
//      └──────────────────────────────────────────┘

import type { Via } from '../../base/protocol-machine.ts'
import { type Signal, signalLimits } from '../../base/signaling-message.ts'
import { PortMeasurement } from './port-measurement.ts'
import {
  keepaliveMsFor,
  type Probe,
  type ProbeSender,
  retryDelayMs,
  type Tactic,
  type TacticFailure,
  triesToFailure,
  usualMailMs,
} from './tactic.ts'

type PinholeOpenerOptions = {
  readonly probeSender: ProbeSender
  /** Step of our NAT's counter; 0 when unknown. */
  readonly step: number
  readonly lifetimeMs: number | null
  readonly mailMs: number | null
}

type Targets = Signal & { type: 'targets' }
type Pinhole = { readonly via: Via; readonly target: number; mine: number | null }
type Chunk = { readonly measurement: PortMeasurement; readonly pinholes: readonly Pinhole[] }

/** Openings in one burst. Each stands between two samples, and all must fit in the burst. */
const chunkSize = 4
/** Packets that one target costs until the other side comes: the opening, a sample, and keepalives. */
const packetsPerTarget = 16

export class PinholeOpener implements Tactic {
  readonly #options: PinholeOpenerOptions
  readonly #keepaliveMs: number
  readonly #holdMs: number
  #targets: Targets | null = null
  #tries = 0
  #openAt: number | null = null
  #chunks: Chunk[] = []
  /** At most signalLimits.targets of them. */
  #pinholes: readonly Pinhole[] = []
  #keepaliveAt: number | null = null
  #giveUpAt: number | null = null
  failure: TacticFailure | null = null

  constructor(options: PinholeOpenerOptions) {
    this.#options = options
    this.#keepaliveMs = keepaliveMsFor(options.lifetimeMs)
    this.#holdMs = 4 * (options.mailMs ?? usualMailMs) + 60_000
  }

  nextAt(): number | null {
    const due = [this.#openAt, this.#keepaliveAt, this.#giveUpAt].filter((at) => at !== null)
    return due.length > 0 ? Math.min(...due) : null
  }

  handleSignal(now: number, signal: Signal): void {
    if (signal.type !== 'targets' || signal.round <= (this.#targets?.round ?? -1)) return
    this.#closePinholes()
    this.#targets = signal
    this.#tries = 0
    this.#openAt = now
  }

  act(now: number): void {
    if (this.#openAt !== null && now >= this.#openAt) this.#open(now)
    if (this.#chunks.length > 0 && this.#chunks.every(({ measurement }) => measurement.isSettled)) {
      this.#conclude(now)
    }
    if (this.#keepaliveAt !== null && now >= this.#keepaliveAt) {
      this.#keepaliveAt = now + this.#keepaliveMs
      for (const pinhole of this.#pinholes) this.#options.probeSender.sendBurst([this.#checkFor(pinhole)])
    }
    if (this.#giveUpAt !== null && now >= this.#giveUpAt) this.#closePinholes()
  }

  #open(now: number): void {
    const { probeSender } = this.#options
    this.#openAt = null
    if (!this.#targets) return
    const affordable = Math.min(signalLimits.pairs, Math.floor(probeSender.remaining / packetsPerTarget))
    const pinholes = this.#targets.ports
      .slice(0, affordable)
      .map((target) => ({ via: probeSender.newVia(), target, mine: null }))
    for (let from = 0; from < pinholes.length; from += chunkSize) {
      const chunk = pinholes.slice(from, from + chunkSize)
      const middle = chunk.flatMap((pinhole): (Probe | 'sample')[] => [
        { ...this.#checkFor(pinhole), type: 'bubble' },
        'sample',
      ])
      const measurement = new PortMeasurement(probeSender, ['sample', 'sample', ...middle, 'sample'])
      if (probeSender.sendBurst(measurement.probes)) this.#chunks.push({ measurement, pinholes: chunk })
    }
    this.#pinholes = this.#chunks.flatMap((chunk) => chunk.pinholes)
    this.#keepaliveAt = now + this.#keepaliveMs
  }

  /** Keeps the pinholes whose own port is known exactly. */
  #conclude(now: number): void {
    const { probeSender, step } = this.#options
    const targets = this.#targets
    const chunks = this.#chunks
    this.#chunks = []
    if (!targets) return
    const readings = chunks.map(({ measurement, pinholes }) => ({
      pinholes,
      reading: measurement.read(step),
    }))
    const address = readings.find(({ reading }) => reading)?.reading?.address
    for (const { pinholes, reading } of readings) {
      if (!reading || reading.address !== address) continue
      for (const [index, pinhole] of pinholes.entries()) {
        const range = reading.bracket.at(2 + 2 * index)
        if (range && range.first === range.last) pinhole.mine = range.first
      }
    }
    probeSender.close(this.#pinholes.filter(({ mine }) => mine === null).map(({ via }) => via))
    this.#pinholes = this.#pinholes.filter(({ mine }) => mine !== null)
    if (address === undefined || this.#pinholes.length === 0) {
      this.#keepaliveAt = null
      this.#openAt = now + retryDelayMs(++this.#tries)
      if (this.#tries >= triesToFailure) {
        this.failure = address === undefined ? 'no-samples' : 'unpredictable-ports'
      }
      return
    }
    this.failure = null
    this.#giveUpAt = now + this.#holdMs
    const pairs = this.#pinholes.map(({ mine, target }) => ({ mine: mine as number, yours: target }))
    probeSender.sendSignal({ type: 'pairs', round: targets.round, address, pairs })
  }

  #checkFor({ via, target }: Pinhole): Probe & { type: 'check' } {
    return { type: 'check', to: { address: this.#targets?.address ?? '', port: target }, via }
  }

  #closePinholes(): void {
    const { probeSender } = this.#options
    probeSender.close(
      this.#pinholes.filter(({ via }) => !probeSender.hasReceivedOn(via)).map(({ via }) => via),
    )
    this.#pinholes = []
    this.#chunks = []
    this.#openAt = null
    this.#keepaliveAt = null
    this.#giveUpAt = null
  }
}
