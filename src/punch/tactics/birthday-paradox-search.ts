// Searches for a port that nobody can predict. One side opens many sockets towards the other's single endpoint.
// The other side tries many ports of the first. By the birthday paradox some of them match. A NAT mapping may
// live only a little longer than 10 s, so both sides start at a time agreed by letter.
//
//   sockets side:  waiting for the endpoint ──▶ proposes ──▶ agreed ──startAt──▶ searching ──▶ ends, or proposes again
//   ports side:                               waiting ──▶ agreed ──startAt──▶ searching ──▶ waiting
//
// A side that learns the start time too late proposes another one, in the next round.

import type { Endpoint } from '../../base/endpoint.ts'
import type { PortBlock } from '../../base/nat-profile.ts'
import type { Via } from '../../base/protocol-machine.ts'
import { type Signal, signalLimits } from '../../base/signaling-message.ts'
import { newMappingRate } from '../check-pacing.ts'
import { drawPorts, portsOf } from '../port-arithmetic.ts'
import { type ProbeSender, type Tactic, usualMailMs } from './tactic.ts'

type BirthdayParadoxSearchOptions = {
  readonly probeSender: ProbeSender
  readonly now: number
  /** `towards`: null until the peer announces it in a `ports` signal. */
  readonly role:
    | { readonly type: 'sockets'; readonly towards: Endpoint | null }
    | {
        readonly type: 'ports'
        readonly address: string
        readonly within: PortBlock
        /** The socket whose port towards the peer is known. While it is null, nothing is sent. */
        readonly via: () => Via | null
      }
  /** Number of sockets or ports. */
  readonly size: number
  readonly mailMs: number | null
  /** 0 up to 1. */
  readonly random: () => number
}

/** A NAT mapping lives at least so long. */
const mappingMs = 10_000
/** The two clocks may differ by so much. */
const clockErrorMs = 3_500
/** A proposed start later than this is rejected. */
const maxLeadMs = 900_000
/** Waiting time after the last packet of a search. */
const tailMs = mappingMs

export class BirthdayParadoxSearch implements Tactic {
  readonly #options: BirthdayParadoxSearchOptions
  #towards: Endpoint | null
  #signaledRound = -1
  /** The latest round that was agreed on or proposed. */
  #round = -1
  #proposeAt: number | null
  #startAt: number | null = null
  #endAt: number | null = null
  /** Sockets of the present search; at most `size`. */
  #vias: Via[] = []
  #leadMs: number
  readonly failure = null

  constructor(options: BirthdayParadoxSearchOptions) {
    this.#options = options
    this.#towards = options.role.type === 'sockets' ? options.role.towards : null
    this.#leadMs = 1.6 * (options.mailMs ?? usualMailMs) + 3_000
    this.#proposeAt = this.#towards ? options.now : null
  }

  nextAt(): number | null {
    return this.#proposeAt ?? this.#startAt ?? this.#endAt
  }

  handleSignal(now: number, signal: Signal): void {
    if (signal.type === 'search')
      this.#agree(now, signal.round, this.#options.probeSender.fromWall(signal.startAt))
    if (signal.type === 'ports' && this.#options.role.type === 'sockets') this.#handlePorts(now, signal)
  }

  act(now: number): void {
    if (this.#proposeAt !== null && now >= this.#proposeAt) this.#propose(now, 0)
    if (this.#startAt !== null && now >= this.#startAt) this.#search(now)
    if (this.#endAt !== null && now >= this.#endAt) this.#finish(now)
  }

  #handlePorts(now: number, { round, address, ranges }: Signal & { type: 'ports' }): void {
    const { role } = this.#options
    if (role.type !== 'sockets' || role.towards || round <= this.#signaledRound) return
    const [port] = portsOf(ranges, 1)
    if (port === undefined) return
    this.#signaledRound = round
    const isFirst = this.#towards === null
    this.#towards = { address, port }
    if (isFirst) this.#proposeAt = now
  }

  #propose(now: number, round: number): void {
    const { probeSender } = this.#options
    this.#proposeAt = null
    if (round >= signalLimits.rounds || round <= this.#round) return
    this.#round = round
    this.#startAt = now + this.#leadMs
    this.#endAt = null
    probeSender.sendSignal({ type: 'search', round, startAt: Math.round(probeSender.toWall(this.#startAt)) })
    // If the lead was too short, the next one is longer.
    this.#leadMs *= 1.5
  }

  #agree(now: number, round: number, startAt: number): void {
    if (round <= this.#round || startAt > now + maxLeadMs) return
    this.#closeSockets()
    this.#proposeAt = null
    const lateMs = now - startAt
    if (lateMs > this.#slackMs) {
      // The letter took longer than the proposer expected, and ours will too.
      this.#leadMs += lateMs
      this.#propose(now, round + 1)
    } else {
      this.#round = round
      this.#startAt = Math.max(now, startAt)
      this.#endAt = null
    }
  }

  /** A side that starts up to so late still finds the mappings of both sides open. */
  get #slackMs(): number {
    return Math.max(0, mappingMs - this.#durationMs - clockErrorMs)
  }

  get #durationMs(): number {
    return (this.#options.size * 1_000) / newMappingRate.perSecond
  }

  #search(now: number): void {
    const { probeSender, role, size, random } = this.#options
    this.#startAt = null
    this.#endAt = now + this.#durationMs + tailMs
    const affordable = Math.min(size, probeSender.remaining)
    // Half a search has a quarter of the chances, which does not justify using other people's ports.
    if (affordable < size / 2) return
    if (role.type === 'sockets') this.#openSockets(affordable)
    else {
      const via = role.via()
      if (via === null) return
      for (const port of drawPorts(role.within, affordable, random)) {
        probeSender.sendBurst([{ type: 'check', to: { address: role.address, port }, via }])
      }
    }
  }

  #openSockets(count: number): void {
    const { probeSender } = this.#options
    const to = this.#towards
    if (!to) return
    for (let opened = 0; opened < count; opened++) {
      const via = probeSender.newVia()
      this.#vias.push(via)
      probeSender.sendBurst([{ type: 'check', to, via }])
    }
  }

  #finish(now: number): void {
    const { probeSender, role, size } = this.#options
    this.#endAt = null
    this.#closeSockets()
    if (role.type === 'sockets' && probeSender.remaining >= size) this.#propose(now, this.#round + 1)
  }

  #closeSockets(): void {
    const { probeSender } = this.#options
    probeSender.close(this.#vias.filter((via) => !probeSender.hasReceivedOn(via)))
    this.#vias = []
  }
}
