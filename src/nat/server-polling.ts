// Sends requests from the main socket: to all servers until one has answered, then to one server in turn so
// that the mapping stays open (C4). When that one answers something new, all servers are asked again.

import { type Endpoint, equalEndpoints, formatEndpoint } from '../base/endpoint.ts'
import type { AnsweringServer } from './behavior-discovery.ts'
import { isClear, type Observation } from './classify-nat.ts'
import { credibleOther } from './filtering-test.ts'
import { keepaliveIntervalMs } from './keepalive-interval.ts'
import type { StunClient, StunTransaction } from './stun-client.ts'

export type RoundResult = {
  readonly startedAt: number
  readonly observations: readonly Observation[]
  /** The single answer that caused this round; null when there was none. */
  readonly unexpected: Observation | null
}

type ServerPollingOptions = {
  readonly stunClient: StunClient
  readonly servers: readonly Endpoint[]
  readonly localEndpoints: readonly Endpoint[]
  readonly now: number
  readonly keepaliveMs: number
  readonly verdictMs: number
}

/** RFC 8489 §6.2.1. */
const sendAfterMs = [0, 500, 1_500] as const
const firstBackoffMs = 5_000
const maxBackoffMs = 60_000
/** The first round does not wait for servers that are slower than the others by this factor. */
const slowFactor = 3
const minWaitMs = 150
const minKeepaliveMs = 1_000
/** Part of the verdict time that is kept for the discovery when only some servers have answered. */
const discoveryMs = 800

type Round = {
  readonly kind: 'first' | 'all' | 'keepalive'
  readonly startedAt: number
  readonly endsAt: number
  readonly transactions: readonly StunTransaction[]
}

export class ServerPolling {
  readonly #options: ServerPollingOptions
  #keepaliveMs: number
  #round: Round | null = null
  #nextRoundAt: number
  #backoffMs = firstBackoffMs
  #nextServer = 0
  #hasAnyAnswered = false
  #isFirst = true
  /** The last answer of each server, true or false. By endpoint, so bounded by the servers. */
  readonly #lastMapped = new Map<string, Endpoint>()
  readonly #answeringServers = new Map<string, AnsweringServer>()
  #unexpected: Observation | null = null

  constructor(options: ServerPollingOptions) {
    this.#options = options
    this.#keepaliveMs = options.keepaliveMs
    this.#nextRoundAt = options.now
  }

  nextTimeout(): number {
    return this.#round ? this.#endOf(this.#round) : this.#nextRoundAt
  }

  /** Call after any event. Returns the result when a round with all servers has ended. */
  advance(now: number): RoundResult | null {
    if (!this.#round && now >= this.#nextRoundAt) this.#startRound(now)
    // After a keepalive with an unexpected answer, the round with all servers starts.
    while (this.#round && now >= this.#endOf(this.#round)) {
      const result = this.#end(now, this.#round)
      if (result) return result
    }
    return null
  }

  /** Mappings are known to expire after this time: shortens the keepalive interval if necessary. */
  shortenKeepalive(lifetimeMs: number): void {
    const bounds = { leastMs: minKeepaliveMs, mostMs: this.#options.keepaliveMs }
    this.#keepaliveMs = keepaliveIntervalMs(lifetimeMs, bounds)
  }

  /** Null for a server that has not answered. */
  answeringServer(server: Endpoint): AnsweringServer | null {
    return this.#answeringServers.get(formatEndpoint(server)) ?? null
  }

  #startRound(now: number): void {
    const { servers } = this.#options
    const server = servers[this.#nextServer % servers.length]
    if (!this.#hasAnyAnswered || !server) this.#start(now, this.#isFirst ? 'first' : 'all', servers)
    else {
      this.#nextServer++
      this.#start(now, 'keepalive', [server])
    }
    this.#isFirst = false
  }

  #start(now: number, kind: Round['kind'], servers: readonly Endpoint[]): void {
    const { stunClient, verdictMs } = this.#options
    const keepaliveMs = this.#keepaliveMs
    this.#nextRoundAt = now + keepaliveMs
    // Without servers there is nothing to wait for.
    const patienceMs = servers.length === 0 ? 0 : Math.min(verdictMs, keepaliveMs)
    const transactions = servers.map((to) => stunClient.request(now, { to, sendAfterMs, patienceMs }))
    this.#round = { kind, startedAt: now, endsAt: now + patienceMs, transactions }
  }

  /** When the round ends if no more answers arrive. */
  #endOf({ kind, startedAt, endsAt, transactions }: Round): number {
    if (transactions.every(({ state }) => state !== 'pending')) return startedAt
    const observations = observationsOf(transactions)
    // Only the first round may end early.
    if (kind !== 'first' || observations.length === 0) return endsAt
    const canDiscover = transactions.some(({ to, otherAddress }) => credibleOther(to, otherAddress) !== null)
    if (!canDiscover && !isClear(observations, this.#options.localEndpoints)) return endsAt - discoveryMs
    // The round trip of an answer after a repetition is unknown.
    const waits = transactions.flatMap(({ mapped, rttMs, answeredAt }) =>
      mapped ? [rttMs === null ? answeredAt - startedAt + minWaitMs : rttMs * slowFactor] : [],
    )
    return Math.min(endsAt, startedAt + Math.max(minWaitMs, ...waits))
  }

  #end(now: number, { kind, startedAt, transactions }: Round): RoundResult | null {
    this.#round = null
    this.#options.stunClient.cancel(transactions)
    for (const { to, mapped, otherAddress, rttMs } of transactions) {
      if (!mapped) continue
      this.#answeringServers.set(formatEndpoint(to), {
        server: to,
        other: credibleOther(to, otherAddress),
        rttMs,
      })
    }
    const observations = observationsOf(transactions)
    if (kind === 'keepalive') {
      this.#endKeepalive(now, observations)
      return null
    }
    for (const { server, mapped } of observations) this.#lastMapped.set(formatEndpoint(server), mapped)
    if (observations.length > 0) this.#hasAnyAnswered = true
    else if (!this.#hasAnyAnswered) {
      this.#nextRoundAt = now + this.#backoffMs
      this.#backoffMs = Math.min(this.#backoffMs * 2, maxBackoffMs)
    }
    const unexpected = this.#unexpected
    this.#unexpected = null
    // No server confirmed or denied it: the same answer may cause another round.
    if (unexpected && observations.length === 0) this.#lastMapped.delete(formatEndpoint(unexpected.server))
    return { startedAt, observations, unexpected }
  }

  #endKeepalive(now: number, [observation]: readonly Observation[]): void {
    if (!observation) return
    const server = formatEndpoint(observation.server)
    const last = this.#lastMapped.get(server)
    if (last && equalEndpoints(last, observation.mapped)) return
    // One answer alone changes nothing, for it may be false. It is remembered, so it causes at most one round
    // with all servers.
    this.#lastMapped.set(server, observation.mapped)
    this.#unexpected = observation
    this.#start(now, 'all', this.#options.servers)
  }
}

function observationsOf(transactions: readonly StunTransaction[]): Observation[] {
  return transactions.flatMap(({ to, mapped }) => (mapped ? [{ server: to, mapped }] : []))
}
