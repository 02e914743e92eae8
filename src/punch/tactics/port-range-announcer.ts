// The side whose NAT counts, so its port towards the peer is unknown in advance. It opens its NAT towards the
// peer from a new socket, between samples. It keeps that mapping alive and announces its port to the peer (D4,
// D5, D7). When the peer's own port must come by letter first, it waits for that.
//
//   waiting ──signaled──▶ measuring ──port known──▶ announced ──long silence──▶ measuring, from another socket
//                        └──not known──▶ measuring again, from another socket, at growing intervals

import type { Endpoint } from '../../base/endpoint.ts'
import type { Via } from '../../base/protocol-machine.ts'
import type { PortRange, Signal } from '../../base/signaling-message.ts'
import { portsOf } from '../port-arithmetic.ts'
import { PortMeasurement } from './port-measurement.ts'
import {
  keepaliveMsFor,
  type ProbeSender,
  retryDelayMs,
  type Tactic,
  type TacticFailure,
  triesToFailure,
} from './tactic.ts'

type PortRangeAnnouncerOptions = {
  readonly probeSender: ProbeSender
  readonly now: number
  /** The peer's endpoint; null when a `ports` signal will bring it. */
  readonly towards: Endpoint | null
  /** Step of our NAT's counter; 0 when unknown. */
  readonly step: number
  /** Samples before the opening, and as many after it. Each takes a port, and some are false or lost. */
  readonly samplesEachSide: number
  readonly lifetimeMs: number | null
  /** Longest list of ports that is worth announcing for one destination. */
  readonly maxCandidates: number
  /** How long the peer may need to reach us after it knows our ports. */
  readonly patienceMs: number
  /** The opening packet need not reach the peer. */
  readonly isOpeningOnly: boolean
}

/** Ports of the peer towards which we open our NAT, when the peer does not know its own exactly. */
const maxTowards = 4
const maxRounds = 3

type OpenMapping = { readonly via: Via; readonly towards: readonly Endpoint[] }

export class PortRangeAnnouncer implements Tactic {
  readonly #options: PortRangeAnnouncerOptions
  readonly #keepaliveMs: number
  #towards: readonly Endpoint[]
  #signaledRound = -1
  #measurement: PortMeasurement | null = null
  #measuredMapping: OpenMapping | null = null
  #measureAt: number | null
  #tries = 0
  #rounds = 0
  /** Announced mappings, which the peer may try at any time; at most maxRounds. */
  readonly #mappings: OpenMapping[] = []
  #keepaliveAt: number | null = null
  failure: TacticFailure | null = null

  constructor(options: PortRangeAnnouncerOptions) {
    this.#options = options
    this.#keepaliveMs = keepaliveMsFor(options.lifetimeMs)
    this.#towards = options.towards ? [options.towards] : []
    this.#measureAt = options.towards ? options.now : null
  }

  /** Sockets whose ports the peer knows, latest first. */
  get vias(): readonly Via[] {
    return this.#mappings.map(({ via }) => via).reverse()
  }

  nextAt(): number | null {
    const due = [this.#measureAt, this.#keepaliveAt].filter((at) => at !== null)
    return due.length > 0 ? Math.min(...due) : null
  }

  handleSignal(now: number, signal: Signal): void {
    if (this.#options.towards || signal.type !== 'ports' || signal.round <= this.#signaledRound) return
    const { address, ranges, round } = signal
    const towards = portsOf(ranges, maxTowards).map((port) => ({ address, port }))
    if (towards.length === 0) return
    this.#signaledRound = round
    this.#towards = towards
    // A pending measurement is for a port that the peer has given up.
    this.#dropMeasurement()
    this.#measureAt = now
    this.#tries = 0
  }

  act(now: number): void {
    if (this.#measurement?.isSettled) this.#conclude(now)
    if (this.#measureAt !== null && now >= this.#measureAt) this.#measure(now)
    if (this.#keepaliveAt !== null && now >= this.#keepaliveAt) this.#keepAlive(now)
  }

  #measure(now: number): void {
    const { probeSender, isOpeningOnly, samplesEachSide } = this.#options
    this.#measureAt = null
    if (this.#rounds >= maxRounds || this.#measurement) return
    const mapping = { via: probeSender.newVia(), towards: this.#towards }
    const openings = this.#towards.map((to) => {
      return { type: isOpeningOnly ? ('bubble' as const) : ('check' as const), to, via: mapping.via }
    })
    const samples = Array.from({ length: samplesEachSide }, () => 'sample' as const)
    const measurement = new PortMeasurement(probeSender, [...samples, ...openings, ...samples])
    if (!probeSender.sendBurst(measurement.probes)) return
    this.#measurement = measurement
    this.#measuredMapping = mapping
    this.#keepaliveAt ??= now + this.#keepaliveMs
  }

  #conclude(now: number): void {
    const { probeSender, step, maxCandidates, patienceMs, samplesEachSide } = this.#options
    const reading = this.#measurement?.read(step) ?? null
    const mapping = this.#measuredMapping
    this.#measurement = null
    this.#measuredMapping = null
    if (!mapping) return
    const ranges = mapping.towards.map((_, index) => reading?.bracket.at(samplesEachSide + index) ?? null)
    const known = ranges.filter((range) => range !== null && sizeOf(range) <= maxCandidates)
    if (!reading || known.length < ranges.length) {
      probeSender.close([mapping.via])
      this.#tries++
      this.#measureAt = now + retryDelayMs(this.#tries)
      if (this.#tries >= triesToFailure) this.failure = reading ? 'unpredictable-ports' : 'no-samples'
      return
    }
    this.failure = null
    this.#tries = 0
    this.#mappings.push(mapping)
    probeSender.sendSignal({
      type: 'ports',
      round: this.#rounds++,
      address: reading.address,
      towards: mapping.towards[0] as Endpoint,
      ranges: known as PortRange[],
    })
    // Our address may have changed since, or a sample was false: then another port may work.
    this.#measureAt = this.#rounds < maxRounds ? now + patienceMs : null
  }

  #keepAlive(now: number): void {
    const { probeSender, isOpeningOnly } = this.#options
    this.#keepaliveAt = now + this.#keepaliveMs
    const mappings = this.#measuredMapping ? [...this.#mappings, this.#measuredMapping] : this.#mappings
    for (const { via, towards } of mappings) {
      probeSender.sendBurst(towards.map((to) => ({ type: isOpeningOnly ? 'bubble' : 'check', to, via })))
    }
  }

  #dropMeasurement(): void {
    if (this.#measuredMapping) this.#options.probeSender.close([this.#measuredMapping.via])
    this.#measuredMapping = null
    this.#measurement = null
  }
}

function sizeOf({ first, last, step }: PortRange): number {
  return Math.floor((last - first) / step) + 1
}
