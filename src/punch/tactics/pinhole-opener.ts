// Two NATs that both count, one port for each remote endpoint: the side that opens. It hears which ports the
// other side's counter will pass, opens its own NAT towards each of them from a socket of its own, and announces which
// port of its own that was. It holds them open until the other side comes (for the other side see
// counter-advancer.ts).
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
  /** Of our NAT's counter, as far as known; else 0. */
  readonly step: number
  readonly lifetimeMs: number | null
  readonly mailMs: number | null
}

type Targets = Signal & { type: 'targets' }
type Hold = { readonly via: Via; readonly target: number; mine: number | null }
type Chunk = { readonly measurement: PortMeasurement; readonly holds: readonly Hold[] }

/** Between samples, so that each stands between two of them and all fit in one burst. */
const chunkSize = 4
/** Packets that one target costs until the other side has come: opening, sample, and some times holding open. */
const costOfTarget = 16

export class PinholeOpener implements Tactic {
  readonly #options: PinholeOpenerOptions
  readonly #keepaliveMs: number
  readonly #holdMs: number
  #targets: Targets | null = null
  #tries = 0
  #openAt: number | null = null
  #chunks: Chunk[] = []
  /** At most signalLimits.targets. */
  #holds: readonly Hold[] = []
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
    this.#letGo()
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
      for (const hold of this.#holds) this.#options.probeSender.sendBurst([this.#checkFor(hold)])
    }
    if (this.#giveUpAt !== null && now >= this.#giveUpAt) this.#letGo()
  }

  #open(now: number): void {
    const { probeSender } = this.#options
    this.#openAt = null
    if (!this.#targets) return
    const affordable = Math.min(signalLimits.pairs, Math.floor(probeSender.left / costOfTarget))
    const holds = this.#targets.ports
      .slice(0, affordable)
      .map((target) => ({ via: probeSender.newVia(), target, mine: null }))
    for (let from = 0; from < holds.length; from += chunkSize) {
      const chunk = holds.slice(from, from + chunkSize)
      const middle = chunk.flatMap((hold): (Probe | 'sample')[] => [
        { ...this.#checkFor(hold), type: 'bubble' },
        'sample',
      ])
      const measurement = new PortMeasurement(probeSender, ['sample', 'sample', ...middle, 'sample'])
      if (probeSender.sendBurst(measurement.probes)) this.#chunks.push({ measurement, holds: chunk })
    }
    this.#holds = this.#chunks.flatMap((chunk) => chunk.holds)
    this.#keepaliveAt = now + this.#keepaliveMs
  }

  /** Keeps those whose own port is known for certain. */
  #conclude(now: number): void {
    const { probeSender, step } = this.#options
    const targets = this.#targets
    const chunks = this.#chunks
    this.#chunks = []
    if (!targets) return
    const readings = chunks.map(({ measurement, holds }) => ({ holds, reading: measurement.read(step) }))
    const address = readings.find(({ reading }) => reading)?.reading?.address
    for (const { holds, reading } of readings) {
      if (!reading || reading.address !== address) continue
      for (const [index, hold] of holds.entries()) {
        const range = reading.bracket.at(2 + 2 * index)
        if (range && range.first === range.last) hold.mine = range.first
      }
    }
    probeSender.close(this.#holds.filter(({ mine }) => mine === null).map(({ via }) => via))
    this.#holds = this.#holds.filter(({ mine }) => mine !== null)
    if (address === undefined || this.#holds.length === 0) {
      this.#keepaliveAt = null
      this.#openAt = now + retryDelayMs(++this.#tries)
      if (this.#tries >= triesToFailure) {
        this.failure = address === undefined ? 'no-samples' : 'unpredictable-ports'
      }
      return
    }
    this.failure = null
    this.#giveUpAt = now + this.#holdMs
    const pairs = this.#holds.map(({ mine, target }) => ({ mine: mine as number, yours: target }))
    probeSender.sendSignal({ type: 'pairs', round: targets.round, address, pairs })
  }

  #checkFor({ via, target }: Hold): Probe & { type: 'check' } {
    return { type: 'check', to: { address: this.#targets?.address ?? '', port: target }, via }
  }

  #letGo(): void {
    const { probeSender } = this.#options
    probeSender.close(this.#holds.filter(({ via }) => !probeSender.heardBy(via)).map(({ via }) => via))
    this.#holds = []
    this.#chunks = []
    this.#openAt = null
    this.#keepaliveAt = null
    this.#giveUpAt = null
  }
}
