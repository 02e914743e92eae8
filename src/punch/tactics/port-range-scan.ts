// The side that learns by a signal which ports of the peer are open for it. It checks these ports at once and
// repeats while nothing answers. Later it also checks other ports around them (D5).

import type { Endpoint } from '../../base/endpoint.ts'
import type { PortBlock } from '../../base/nat-profile.ts'
import type { Via } from '../../base/protocol-machine.ts'
import type { Signal } from '../../base/signaling-message.ts'
import { portsAround, portsOf } from '../port-arithmetic.ts'
import { keepaliveMsFor, type ProbeSender, type Tactic } from './tactic.ts'

type PortRangeScanOptions = {
  readonly probeSender: ProbeSender
  /** Sockets from which the peer's NAT accepts packets; empty when there are none yet. */
  readonly vias: () => readonly Via[]
  /** The range of all ports of the peer. */
  readonly within: PortBlock
  readonly lifetimeMs: number | null
  /** How long the peer may need to open its NAT for us after its announcement. */
  readonly patienceMs: number
}

/** Ports beyond this number are not tried. */
const maxPorts = 128
/** Ports tried around the announced ones, in bursts. */
const maxAround = 96
const burst = 16
/** Packets kept for other tries. */
const reserve = 40
/** Delays after the first, second and third check of all ports; later as often as a mapping needs it. */
const quickMs = [400, 800, 1_500] as const
const aroundMs = 500
/** Delay while our own port is still being measured. */
const notReadyMs = 300

export class PortRangeScan implements Tactic {
  readonly #options: PortRangeScanOptions
  readonly #keepaliveMs: number
  #round = -1
  #address = ''
  #ports: readonly number[] = []
  #around: number[] = []
  #scans = 0
  #scanAt: number | null = null
  #aroundAt: number | null = null
  readonly failure = null

  constructor(options: PortRangeScanOptions) {
    this.#options = options
    this.#keepaliveMs = keepaliveMsFor(options.lifetimeMs)
  }

  nextAt(): number | null {
    const due = [this.#scanAt, this.#aroundAt].filter((at) => at !== null)
    return due.length > 0 ? Math.min(...due) : null
  }

  handleSignal(now: number, signal: Signal): void {
    if (signal.type !== 'ports' || signal.round <= this.#round) return
    this.#round = signal.round
    this.#address = signal.address
    this.#ports = portsOf(signal.ranges, maxPorts)
    this.#around = portsAround(signal.ranges, this.#options.within, maxAround)
    this.#scans = 0
    this.#scanAt = now
    this.#aroundAt = now + this.#options.patienceMs
  }

  act(now: number): void {
    if (this.#scanAt !== null && now >= this.#scanAt) {
      const isReady = this.#options.vias().length > 0
      this.#scanAt = now + (isReady ? (quickMs[this.#scans++] ?? this.#keepaliveMs) : notReadyMs)
      this.#check(this.#ports, reserve)
    }
    if (this.#aroundAt !== null && now >= this.#aroundAt) {
      this.#check(this.#around.splice(0, burst), 2 * reserve)
      this.#aroundAt = this.#around.length > 0 ? now + aroundMs : null
    }
  }

  #check(ports: readonly number[], keep: number): void {
    const { probeSender, vias } = this.#options
    for (const via of vias()) {
      // The first ports are the most likely ones; they are checked as long as any packets remain.
      const affordable = Math.max(probeSender.remaining - keep, Math.min(4, probeSender.remaining))
      for (const port of ports.slice(0, affordable)) {
        const to: Endpoint = { address: this.#address, port }
        probeSender.sendBurst([{ type: 'check', to, via }])
      }
    }
  }
}
