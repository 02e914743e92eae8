// The side whose port towards the peer nobody knows beforehand, but whose NAT counts: it opens its NAT towards the peer
// from a fresh socket between samples, keeps that mapping alive, and announces to the peer which port it was (D4, D5,
// D7). Where the peer's own port has to come by a letter first, it waits for that.
//
//   waiting ──signaled──▶ measuring ──port known──▶ announced ──nothing heard for long──▶ measuring, from another socket
//                        └──not known──▶ measuring again, from another socket, ever more rarely

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
  /** Null: the peer's `ports` will say where to. */
  readonly towards: Endpoint | null
  /** Of our NAT's counter, as far as known; else 0. */
  readonly step: number
  /** Samples before, and as many after: each takes a port, and one in some is a lie or lost. */
  readonly samplesEachSide: number
  readonly lifetimeMs: number | null
  /** Longest list of ports for one destination that is worth announcing. */
  readonly mostCandidates: number
  /** How long the peer may need to come, after it has our ports. */
  readonly patienceMs: number
  /** What opens our NAT need not reach the peer. */
  readonly onlyOpens: boolean
}

/** Ports of the peer that we open ourselves towards, where it does not know its own exactly. */
const maxTowards = 4
const maxRounds = 3

type Anchor = { readonly via: Via; readonly towards: readonly Endpoint[] }

export class PortRangeAnnouncer implements Tactic {
  readonly #options: PortRangeAnnouncerOptions
  readonly #keepaliveMs: number
  #towards: readonly Endpoint[]
  #signaledRound = -1
  #measurement: PortMeasurement | null = null
  #measuring: Anchor | null = null
  #measureAt: number | null
  #tries = 0
  #rounds = 0
  /** Announced ones, which the peer may try at any time; at most maxRounds. */
  readonly #anchors: Anchor[] = []
  #keepaliveAt: number | null = null
  failure: TacticFailure | null = null

  constructor(options: PortRangeAnnouncerOptions) {
    this.#options = options
    this.#keepaliveMs = keepaliveMsFor(options.lifetimeMs)
    this.#towards = options.towards ? [options.towards] : []
    this.#measureAt = options.towards ? options.now : null
  }

  /** Sockets whose ports the peer knows, the latest first. */
  get vias(): readonly Via[] {
    return this.#anchors.map(({ via }) => via).reverse()
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
    // A measurement under way is for a port that the peer has given up.
    this.#drop()
    this.#measureAt = now
    this.#tries = 0
  }

  act(now: number): void {
    if (this.#measurement?.isSettled) this.#conclude(now)
    if (this.#measureAt !== null && now >= this.#measureAt) this.#measure(now)
    if (this.#keepaliveAt !== null && now >= this.#keepaliveAt) this.#keepAlive(now)
  }

  #measure(now: number): void {
    const { probeSender, onlyOpens, samplesEachSide } = this.#options
    this.#measureAt = null
    if (this.#rounds >= maxRounds || this.#measurement) return
    const anchor = { via: probeSender.newVia(), towards: this.#towards }
    const openings = this.#towards.map((to) => {
      return { type: onlyOpens ? ('bubble' as const) : ('check' as const), to, via: anchor.via }
    })
    const samples = Array.from({ length: samplesEachSide }, () => 'sample' as const)
    const measurement = new PortMeasurement(probeSender, [...samples, ...openings, ...samples])
    if (!probeSender.sendBurst(measurement.probes)) return
    this.#measurement = measurement
    this.#measuring = anchor
    this.#keepaliveAt ??= now + this.#keepaliveMs
  }

  #conclude(now: number): void {
    const { probeSender, step, mostCandidates, patienceMs, samplesEachSide } = this.#options
    const reading = this.#measurement?.read(step) ?? null
    const anchor = this.#measuring
    this.#measurement = null
    this.#measuring = null
    if (!anchor) return
    const ranges = anchor.towards.map((_, index) => reading?.bracket.at(samplesEachSide + index) ?? null)
    const known = ranges.filter((range) => range !== null && sizeOf(range) <= mostCandidates)
    if (!reading || known.length < ranges.length) {
      probeSender.close([anchor.via])
      this.#tries++
      this.#measureAt = now + retryDelayMs(this.#tries)
      if (this.#tries >= triesToFailure) this.failure = reading ? 'unpredictable-ports' : 'no-samples'
      return
    }
    this.failure = null
    this.#tries = 0
    this.#anchors.push(anchor)
    probeSender.sendSignal({
      type: 'ports',
      round: this.#rounds++,
      address: reading.address,
      towards: anchor.towards[0] as Endpoint,
      ranges: known as PortRange[],
    })
    // Our address may have changed since, or a sample lied: then another port may do.
    this.#measureAt = this.#rounds < maxRounds ? now + patienceMs : null
  }

  #keepAlive(now: number): void {
    const { probeSender, onlyOpens } = this.#options
    this.#keepaliveAt = now + this.#keepaliveMs
    const anchors = this.#measuring ? [...this.#anchors, this.#measuring] : this.#anchors
    for (const { via, towards } of anchors) {
      probeSender.sendBurst(towards.map((to) => ({ type: onlyOpens ? 'bubble' : 'check', to, via })))
    }
  }

  #drop(): void {
    if (this.#measuring) this.#options.probeSender.close([this.#measuring.via])
    this.#measuring = null
    this.#measurement = null
  }
}

function sizeOf({ first, last, step }: PortRange): number {
  return Math.floor((last - first) / step) + 1
}
