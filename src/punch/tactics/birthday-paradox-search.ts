// Searching for a port that nobody can know: one side opens many sockets towards the other's one endpoint, the other
// tries many ports of the first, and by the birthday paradox some of them meet. A hole lives 10 s or little
// more, so both do it at an instant that they agreed on by letter.
//
//   sockets side:  waiting for the endpoint ──▶ proposes ──▶ agreed ──startAt──▶ searching ──▶ over, or proposes again
//   ports side:                               waiting ──▶ agreed ──startAt──▶ searching ──▶ waiting
//
// Who hears of an instant too late proposes another, in the next round.

import type { Endpoint } from '../../base/endpoint.ts'
import type { PortBlock } from '../../base/nat-profile.ts'
import type { Via } from '../../base/protocol-machine.ts'
import { type Signal, signalLimits } from '../../base/signaling-message.ts'
import { newMappings } from '../check-pacing.ts'
import { drawPorts, portsOf } from '../port-arithmetic.ts'
import { type ProbeSender, type Tactic, usualMailMs } from './tactic.ts'

type BirthdayParadoxSearchOptions = {
  readonly probeSender: ProbeSender
  readonly now: number
  readonly part: /** `towards`: null until the peer announces it by `ports`. */
    | { readonly type: 'sockets'; readonly towards: Endpoint | null }
    | {
        readonly type: 'ports'
        readonly address: string
        readonly within: PortBlock
        /** Where our own port towards the peer is known; nothing can be done while it is null. */
        readonly via: () => Via | null
      }
  /** Sockets, or ports. */
  readonly size: number
  readonly mailMs: number | null
  /** 0 up to 1. */
  readonly random: () => number
}

/** That long a hole lives at least. */
const holeMs = 10_000
/** Clocks may be wrong by so much against each other. */
const clockErrorMs = 3_500
/** Nobody makes an appointment for later than that. */
const longestLeadMs = 900_000
/** After the last packet of a search: whatever still may come has come. */
const tailMs = holeMs

export class BirthdayParadoxSearch implements Tactic {
  readonly #options: BirthdayParadoxSearchOptions
  #towards: Endpoint | null
  #signaledRound = -1
  /** The latest that was agreed on or proposed. */
  #round = -1
  #proposeAt: number | null
  #startAt: number | null = null
  #endAt: number | null = null
  /** Of the present search; at most `size`. */
  #vias: Via[] = []
  #leadMs: number
  readonly failure = null

  constructor(options: BirthdayParadoxSearchOptions) {
    this.#options = options
    this.#towards = options.part.type === 'sockets' ? options.part.towards : null
    this.#leadMs = 1.6 * (options.mailMs ?? usualMailMs) + 3_000
    this.#proposeAt = this.#towards ? options.now : null
  }

  nextAt(): number | null {
    return this.#proposeAt ?? this.#startAt ?? this.#endAt
  }

  handleSignal(now: number, signal: Signal): void {
    if (signal.type === 'search')
      this.#agree(now, signal.round, this.#options.probeSender.fromWall(signal.startAt))
    if (signal.type === 'ports' && this.#options.part.type === 'sockets') this.#hearPorts(now, signal)
  }

  act(now: number): void {
    if (this.#proposeAt !== null && now >= this.#proposeAt) this.#propose(now, 0)
    if (this.#startAt !== null && now >= this.#startAt) this.#search(now)
    if (this.#endAt !== null && now >= this.#endAt) this.#finish(now)
  }

  #hearPorts(now: number, { round, address, ranges }: Signal & { type: 'ports' }): void {
    const { part } = this.#options
    if (part.type !== 'sockets' || part.towards || round <= this.#signaledRound) return
    const [port] = portsOf(ranges, 1)
    if (port === undefined) return
    this.#signaledRound = round
    const isNews = this.#towards === null
    this.#towards = { address, port }
    if (isNews) this.#proposeAt = now
  }

  #propose(now: number, round: number): void {
    const { probeSender } = this.#options
    this.#proposeAt = null
    if (round >= signalLimits.rounds || round <= this.#round) return
    this.#round = round
    this.#startAt = now + this.#leadMs
    this.#endAt = null
    probeSender.sendSignal({ type: 'search', round, startAt: Math.round(probeSender.toWall(this.#startAt)) })
    // If it was too short, so it will not be again.
    this.#leadMs *= 1.5
  }

  #agree(now: number, round: number, startAt: number): void {
    if (round <= this.#round || startAt > now + longestLeadMs) return
    this.#closeSockets()
    this.#proposeAt = null
    const lateMs = now - startAt
    if (lateMs > this.#slackMs) {
      // The letter took so much longer than whoever proposed this had thought, and so will ours.
      this.#leadMs += lateMs
      this.#propose(now, round + 1)
    } else {
      this.#round = round
      this.#startAt = Math.max(now, startAt)
      this.#endAt = null
    }
  }

  /** So late one may begin that the holes of both are still open together. */
  get #slackMs(): number {
    return Math.max(0, holeMs - this.#durationMs - clockErrorMs)
  }

  get #durationMs(): number {
    return (this.#options.size * 1_000) / newMappings.perSecond
  }

  #search(now: number): void {
    const { probeSender, part, size, random } = this.#options
    this.#startAt = null
    this.#endAt = now + this.#durationMs + tailMs
    const affordable = Math.min(size, probeSender.left)
    // Half a search finds with a quarter of the chances: not worth other people's ports.
    if (affordable < size / 2) return
    if (part.type === 'sockets') this.#openSockets(affordable)
    else {
      const via = part.via()
      if (via === null) return
      for (const port of drawPorts(part.within, affordable, random)) {
        probeSender.sendBurst([{ type: 'check', to: { address: part.address, port }, via }])
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
    const { probeSender, part, size } = this.#options
    this.#endAt = null
    this.#closeSockets()
    if (part.type === 'sockets' && probeSender.left >= size) this.#propose(now, this.#round + 1)
  }

  #closeSockets(): void {
    const { probeSender } = this.#options
    probeSender.close(this.#vias.filter((via) => !probeSender.heardBy(via)))
    this.#vias = []
  }
}
