// Asks STUN servers how the world sees our socket, and goes on asking so that the mapping stays (mission B4, C4).
//
//            all answered, or verdictMs over              every keepaliveMs
//   first round ──────────────────────────▶ settled ◀────────────────────────▶ keepalive: one server in turn
//        │ nobody answered                     ▲                                        │ says something new
//        ▼                                     │ round over                             ▼
//   wait, doubling up to 60 s ──▶ again: all servers ◀──────────────────────────────────┘

import { equalBytes } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import {
  distinctEndpoints,
  type Endpoint,
  equalEndpoints,
  familyOf,
  formatEndpoint,
} from '../base/endpoint.ts'
import type { Action, Machine } from '../base/machine.ts'
import { classify, type NatView, type Observation } from './classify.ts'
import { settle } from './settle.ts'
import { decodeStun, encodeRequest, transactionIdBytes } from './stun.ts'

export type { NatView, Observation } from './classify.ts'

export type ProberEvent =
  /** Exactly once: the first verdict. */
  | ({ readonly type: 'profile' } & NatView)
  /** Any later verdict that differs. */
  | ({ readonly type: 'changed' } & NatView)

export type ProberOptions = {
  readonly crypto: Pick<Crypto, 'randomBytes'>
  /** Resolved, and such as the socket can reach: a silent one delays the verdict. Those beyond 8 are not asked. */
  readonly servers: readonly Endpoint[]
  /** Our own addresses with the socket's port (see net/interfaces.ts). */
  readonly localEndpoints: readonly Endpoint[]
  readonly now: number
  /**
   * Between two keepalive questions. The shortest mapping lifetime in the field is 10 s; 8 s leave room
   * for two retransmissions, should the question be lost before it reaches the NAT.
   */
  readonly keepaliveMs?: number
  /** At the latest so long after the start there is a verdict. */
  readonly verdictMs?: number
}

export interface Prober extends Machine<ProberEvent> {
  /** Nothing is asked or answered afterwards. */
  stop(): void
}

export const maxServers = 8
/** RFC 8489 §6.2.1, doubled after each sending. */
const retransmissionMs = 500
const firstBackoffMs = 5_000
const longestBackoffMs = 60_000

export function createProber(options: ProberOptions): Prober {
  return new StunProber(options)
}

type Ask = {
  readonly server: Endpoint
  readonly transactionId: Uint8Array
  readonly request: Uint8Array
  intervalMs: number
  resendAt: number
  answered: boolean
}

type Round = {
  readonly kind: 'all' | 'keepalive'
  readonly endsAt: number
  readonly asks: readonly Ask[]
  readonly observations: Observation[]
}

class StunProber implements Prober {
  readonly #crypto: ProberOptions['crypto']
  readonly #servers: readonly Endpoint[]
  readonly #localEndpoints: readonly Endpoint[]
  readonly #keepaliveMs: number
  readonly #verdictMs: number
  #round: Round | null = null
  #nextRoundAt: number
  #backoffMs = firstBackoffMs
  #turn = 0
  /** Null until the first verdict. */
  #view: NatView | null = null
  /** What each server said last, true or not; by its endpoint, so bounded by the servers. */
  readonly #heard = new Map<string, Endpoint>()
  /** The keepalive answer that made us ask everybody again. */
  #surprise: Observation | null = null
  #stopped = false

  constructor(options: ProberOptions) {
    this.#crypto = options.crypto
    this.#servers = distinctEndpoints(options.servers).slice(0, maxServers)
    this.#localEndpoints = options.localEndpoints
    this.#keepaliveMs = options.keepaliveMs ?? 8_000
    this.#verdictMs = options.verdictMs ?? 3_000
    this.#nextRoundAt = options.now
  }

  nextTimeout(): number | null {
    if (this.#stopped) return null
    const round = this.#round
    if (!round) return this.#nextRoundAt
    const resendings = round.asks.filter((ask) => !ask.answered).map((ask) => ask.resendAt)
    return Math.min(round.endsAt, ...resendings)
  }

  handleTimeout(now: number): Action<ProberEvent>[] {
    if (this.#stopped) return []
    if (!this.#round) return now >= this.#nextRoundAt ? this.#startDueRound(now) : []
    if (now >= this.#round.endsAt) return this.#endRound(now, this.#round)
    return this.#sendDue(now, this.#round)
  }

  handleDatagram(now: number, bytes: Uint8Array, from: Endpoint): Action<ProberEvent>[] {
    const round = this.#round
    if (this.#stopped || !round) return []
    const decoding = decodeStun(bytes)
    if (!decoding.ok || decoding.message.type === 'request') return []
    const { message } = decoding
    const ask = round.asks.find(
      ({ server, transactionId }) =>
        equalEndpoints(server, from) && equalBytes(transactionId, message.transactionId),
    )
    if (!ask || ask.answered) return []
    if (message.type === 'success') {
      if (familyOf(message.mapped.address) !== familyOf(from.address)) return []
      round.observations.push({ server: ask.server, mapped: message.mapped })
    }
    // A server that answers with an error has nothing to tell, but need not be waited for.
    ask.answered = true
    return round.asks.every(({ answered }) => answered) ? this.#endRound(now, round) : []
  }

  stop(): void {
    this.#stopped = true
    this.#round = null
  }

  #startDueRound(now: number): Action<ProberEvent>[] {
    const anythingKnown = this.#view !== null && this.#view.observations.length > 0
    if (!anythingKnown) return this.#startRound(now, 'all', this.#servers)
    const server = this.#servers[this.#turn++ % this.#servers.length]
    return this.#startRound(now, 'keepalive', server ? [server] : [])
  }

  #startRound(now: number, kind: Round['kind'], servers: readonly Endpoint[]): Action<ProberEvent>[] {
    this.#nextRoundAt = now + this.#keepaliveMs
    const asks = servers.map((server) => {
      const transactionId = this.#crypto.randomBytes(transactionIdBytes)
      const request = encodeRequest(transactionId)
      const intervalMs = retransmissionMs
      return { server, transactionId, request, intervalMs, resendAt: now, answered: false }
    })
    const round: Round = {
      kind,
      // With nobody to ask there is nothing to wait for.
      endsAt: asks.length === 0 ? now : now + Math.min(this.#verdictMs, this.#keepaliveMs),
      asks,
      observations: [],
    }
    this.#round = round
    return asks.length === 0 ? this.#endRound(now, round) : this.#sendDue(now, round)
  }

  #sendDue(now: number, round: Round): Action<ProberEvent>[] {
    const actions: Action<ProberEvent>[] = []
    for (const ask of round.asks) {
      if (ask.answered || now < ask.resendAt) continue
      actions.push({ type: 'send', to: ask.server, bytes: ask.request })
      ask.resendAt = now + ask.intervalMs
      ask.intervalMs *= 2
    }
    return actions
  }

  #endRound(now: number, round: Round): Action<ProberEvent>[] {
    this.#round = null
    if (round.kind === 'keepalive') return this.#endKeepalive(now, round)
    const before = this.#view
    for (const { server, mapped } of round.observations) this.#heard.set(formatEndpoint(server), mapped)
    if (!before?.observations.length && !round.observations.length) {
      this.#nextRoundAt = now + this.#backoffMs
      this.#backoffMs = Math.min(this.#backoffMs * 2, longestBackoffMs)
    }
    if (!before) {
      this.#view = classify(round.observations, this.#localEndpoints)
      return [{ type: 'event', event: { type: 'profile', ...this.#view } }]
    }
    const settled = settle(before, round.observations, this.#surprise, this.#localEndpoints)
    // Nobody confirmed or denied it: let the same answer raise the question again.
    if (this.#surprise && round.observations.length === 0) {
      this.#heard.delete(formatEndpoint(this.#surprise.server))
    }
    this.#surprise = null
    if (settled === before) return []
    this.#view = settled
    return [{ type: 'event', event: { type: 'changed', ...settled } }]
  }

  #endKeepalive(now: number, round: Round): Action<ProberEvent>[] {
    const [observation] = round.observations
    if (!observation) return []
    const server = formatEndpoint(observation.server)
    const last = this.#heard.get(server)
    if (last && equalEndpoints(last, observation.mapped)) return []
    // One answer alone changes nothing: it may be a lie. Remembered, it asks everybody at most once.
    this.#heard.set(server, observation.mapped)
    this.#surprise = observation
    return this.#startRound(now, 'all', this.#servers)
  }
}
