// The side that knows from a signal where the peer's NAT lets it in: it checks these ports at once, again while nothing answers,
// and later others around them (D5).

import type { Endpoint } from '../../base/endpoint.ts'
import type { PortBlock } from '../../base/nat-profile.ts'
import type { Via } from '../../base/protocol-machine.ts'
import type { Signal } from '../../base/signaling-message.ts'
import { portsAround, portsOf } from '../port-arithmetic.ts'
import { keepaliveMsFor, type ProbeSender, type Tactic } from './tactic.ts'

type PortRangeScanOptions = {
  readonly probeSender: ProbeSender
  /** Sockets whose ports the peer's NAT lets in; none yet when empty. */
  readonly vias: () => readonly Via[]
  /** Where the peer's ports are at all. */
  readonly within: PortBlock
  readonly lifetimeMs: number | null
  /** How long the peer may need to open its NAT for us, after it announced its ports. */
  readonly patienceMs: number
}

/** Further ports of a longer list are not tried. */
const maxPorts = 128
/** Tried around them, in bursts. */
const maxAround = 96
const burst = 16
/** Packets left for other tries. */
const reserve = 40
/** After the first check, the second, … of all ports; then as often as a mapping needs it. */
const quickMs = [400, 800, 1_500] as const
const aroundMs = 500
/** Our own port is being found out. */
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
      // The first ports, most likely ones, as long as there is anything left.
      const affordable = Math.max(probeSender.left - keep, Math.min(4, probeSender.left))
      for (const port of ports.slice(0, affordable)) {
        const to: Endpoint = { address: this.#address, port }
        probeSender.sendBurst([{ type: 'check', to, via }])
      }
    }
  }
}
