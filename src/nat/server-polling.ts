// Asks all servers by the main socket until somebody has answered, then one in turn so that the mapping stays (C4), and
// all of them again when that one says something new.

import { type Endpoint, equalEndpoints, formatEndpoint } from '../base/endpoint.ts'
import type { Witness } from './behavior-discovery.ts'
import { isClear, type Observation } from './classify-nat.ts'
import { credibleOther } from './filtering-test.ts'
import { keepaliveIntervalMs } from './keepalive-interval.ts'
import type { Question, StunClient } from './stun-client.ts'

export type RoundResult = {
  readonly startedAt: number
  readonly fresh: readonly Observation[]
  /** The single answer that made us ask all. */
  readonly surprise: Observation | null
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
const longestBackoffMs = 60_000
/** The first round is not held up by servers that are slower than the others by this factor. */
const tardy = 3
const leastWaitMs = 150
const leastKeepaliveMs = 1_000
/** Kept of the time for a verdict when only some have answered, for looking closer with their help. */
const surveyMs = 800

type Round = {
  readonly kind: 'first' | 'all' | 'keepalive'
  readonly startedAt: number
  readonly endsAt: number
  readonly questions: readonly Question[]
}

export class ServerPolling {
  readonly #options: ServerPollingOptions
  #keepaliveMs: number
  #round: Round | null = null
  #nextRoundAt: number
  #backoffMs = firstBackoffMs
  #nextServer = 0
  #everAnswered = false
  #isFirst = true
  /** What each server said last, true or not; by its endpoint, so bounded by the servers. */
  readonly #heard = new Map<string, Endpoint>()
  readonly #witnesses = new Map<string, Witness>()
  #surprise: Observation | null = null

  constructor(options: ServerPollingOptions) {
    this.#options = options
    this.#keepaliveMs = options.keepaliveMs
    this.#nextRoundAt = options.now
  }

  nextTimeout(): number {
    return this.#round ? this.#endOf(this.#round) : this.#nextRoundAt
  }

  /** To be called after anything happened. The result of a round in which all were asked, when one is over. */
  advance(now: number): RoundResult | null {
    if (!this.#round && now >= this.#nextRoundAt) this.#startDue(now)
    // A keepalive that brings news is followed by a round that asks everybody.
    while (this.#round && now >= this.#endOf(this.#round)) {
      const result = this.#end(now, this.#round)
      if (result) return result
    }
    return null
  }

  /** Mappings are known to die within this time: they are refreshed sooner than was asked for, if need be. */
  outlive(lifetimeMs: number): void {
    const bounds = { leastMs: leastKeepaliveMs, mostMs: this.#options.keepaliveMs }
    this.#keepaliveMs = keepaliveIntervalMs(lifetimeMs, bounds)
  }

  /** Of a server that has answered. */
  witness(server: Endpoint): Witness | null {
    return this.#witnesses.get(formatEndpoint(server)) ?? null
  }

  #startDue(now: number): void {
    const { servers } = this.#options
    const server = servers[this.#nextServer % servers.length]
    if (!this.#everAnswered || !server) this.#start(now, this.#isFirst ? 'first' : 'all', servers)
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
    // With nobody to ask there is nothing to wait for.
    const patienceMs = servers.length === 0 ? 0 : Math.min(verdictMs, keepaliveMs)
    const questions = servers.map((to) => stunClient.ask(now, { to, sendAfterMs, patienceMs }))
    this.#round = { kind, startedAt: now, endsAt: now + patienceMs, questions }
  }

  /** When it is over if nothing more comes. */
  #endOf({ kind, startedAt, endsAt, questions }: Round): number {
    if (questions.every(({ state }) => state !== 'open')) return startedAt
    const observations = observationsOf(questions)
    // Only the first verdict is waited for.
    if (kind !== 'first' || observations.length === 0) return endsAt
    const canDiscover = questions.some(({ to, otherAddress }) => credibleOther(to, otherAddress) !== null)
    if (!canDiscover && !isClear(observations, this.#options.localEndpoints)) return endsAt - surveyMs
    // Of an answer that came after we had asked again we do not know how long it took.
    const waits = questions.flatMap(({ mapped, rttMs, answeredAt }) =>
      mapped ? [rttMs === null ? answeredAt - startedAt + leastWaitMs : rttMs * tardy] : [],
    )
    return Math.min(endsAt, startedAt + Math.max(leastWaitMs, ...waits))
  }

  #end(now: number, { kind, startedAt, questions }: Round): RoundResult | null {
    this.#round = null
    this.#options.stunClient.giveUp(questions)
    for (const { to, mapped, otherAddress, rttMs } of questions) {
      if (!mapped) continue
      this.#witnesses.set(formatEndpoint(to), { server: to, other: credibleOther(to, otherAddress), rttMs })
    }
    const fresh = observationsOf(questions)
    if (kind === 'keepalive') {
      this.#endKeepalive(now, fresh)
      return null
    }
    for (const { server, mapped } of fresh) this.#heard.set(formatEndpoint(server), mapped)
    if (fresh.length > 0) this.#everAnswered = true
    else if (!this.#everAnswered) {
      this.#nextRoundAt = now + this.#backoffMs
      this.#backoffMs = Math.min(this.#backoffMs * 2, longestBackoffMs)
    }
    const surprise = this.#surprise
    this.#surprise = null
    // Nobody confirmed or denied it: let the same answer raise the question again.
    if (surprise && fresh.length === 0) this.#heard.delete(formatEndpoint(surprise.server))
    return { startedAt, fresh, surprise }
  }

  #endKeepalive(now: number, [observation]: readonly Observation[]): void {
    if (!observation) return
    const server = formatEndpoint(observation.server)
    const last = this.#heard.get(server)
    if (last && equalEndpoints(last, observation.mapped)) return
    // One answer alone changes nothing: it may be a lie. Remembered, it asks everybody at most once.
    this.#heard.set(server, observation.mapped)
    this.#surprise = observation
    this.#start(now, 'all', this.#options.servers)
  }
}

function observationsOf(questions: readonly Question[]): Observation[] {
  return questions.flatMap(({ to, mapped }) => (mapped ? [{ server: to, mapped }] : []))
}
