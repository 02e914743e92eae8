// Asks STUN servers how the world sees our socket, and goes on asking so that the mapping stays (B4, C4). Looks
// closer at what kind of NAT it is before it emits the view (D1, D2), and learns the rest in the background.
//
//            enough answered, or time over         survey over, or verdictMs over
//   first round ────────────────────────▶ survey ────────────────────────────────▶ verdict
//        │ nobody answered                   ▲ another address or mapping               │
//        ▼                                   │                                          ▼  every keepaliveMs
//   wait, doubling up to 60 s ──▶ again: all servers ◀── says something new ── keepalive: one server in turn

import type { Crypto } from '../base/crypto.ts'
import { distinctEndpoints, type Endpoint } from '../base/endpoint.ts'
import type { Mapping } from '../base/nat-profile.ts'
import type { Action, Machine, Via } from '../base/protocol-machine.ts'
import { BackgroundTests, type Learnable } from './background-tests.ts'
import { BehaviorDiscovery, type Witness } from './behavior-discovery.ts'
import {
  classify,
  type Findings,
  type NatView,
  type Observation,
  ofJudgedFamily,
  portsKept,
} from './classify-nat.ts'
import { confirmChange, sameVerdict } from './confirm-nat-change.ts'
import { type RoundResult, ServerPolling } from './server-polling.ts'
import { StunClient } from './stun-client.ts'

export type { Learnable } from './background-tests.ts'
export type { NatView, Observation } from './classify-nat.ts'

export type ProberEvent =
  /** Exactly once: the first verdict. */
  | ({ readonly type: 'profile' } & NatView)
  /** Any later verdict that differs. */
  | ({ readonly type: 'changed' } & NatView)
  /** Something that others need not be told of; `done` when there will be no more of it for now. */
  | ({ readonly type: 'learned'; readonly done: boolean } & NatView)

type ProberOptions = {
  readonly crypto: Pick<Crypto, 'randomBytes'>
  /** Resolved, and such as the socket can reach. Those beyond 8 are not asked. */
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
  /** What is found out after the verdict, in the background; everything when left out. */
  readonly learn?: readonly Learnable[]
}

interface Prober extends Machine<ProberEvent> {
  /** Nothing is asked or answered afterwards. */
  stop(): void
}

const maxServers = 8

export function createProber(options: ProberOptions): Prober {
  return new StunProber(options)
}

class StunProber implements Prober {
  readonly #options: ProberOptions
  readonly #stunClient: StunClient
  readonly #servers: readonly Endpoint[]
  readonly #verdictMs: number
  readonly #rounds: ServerPolling
  /** Null until the first verdict. */
  #view: NatView | null = null
  #findings: Findings = {}
  /** On these observations the verdict is given when it is over. */
  #survey: { readonly survey: BehaviorDiscovery; readonly observations: readonly Observation[] } | null = null
  #backgroundTests: BackgroundTests | null = null
  #stopped = false

  constructor(options: ProberOptions) {
    const { servers, keepaliveMs = 8_000, verdictMs = 3_000 } = options
    this.#options = options
    this.#stunClient = new StunClient(options.crypto)
    this.#servers = distinctEndpoints(servers).slice(0, maxServers)
    this.#verdictMs = verdictMs
    this.#rounds = new ServerPolling({
      ...options,
      stunClient: this.#stunClient,
      servers: this.#servers,
      keepaliveMs,
      verdictMs,
    })
  }

  nextTimeout(): number | null {
    if (this.#stopped) return null
    const due = [
      this.#rounds.nextTimeout(),
      this.#stunClient.nextTimeout(),
      this.#survey?.survey.nextTimeout() ?? null,
      this.#backgroundTests?.nextTimeout() ?? null,
    ]
    return Math.min(...due.filter((at) => at !== null))
  }

  handleTimeout(now: number): Action<ProberEvent>[] {
    return this.#stopped ? [] : this.#proceed(now)
  }

  handleDatagram(now: number, bytes: Uint8Array, from: Endpoint, via: Via = 0): Action<ProberEvent>[] {
    if (this.#stopped || !this.#stunClient.take(now, bytes, from, via)) return []
    return this.#proceed(now)
  }

  handleSocketFailure(now: number, via: Via): Action<ProberEvent>[] {
    if (this.#stopped) return []
    this.#stunClient.fail(via)
    return this.#proceed(now)
  }

  stop(): void {
    this.#stopped = true
  }

  #proceed(now: number): Action<ProberEvent>[] {
    this.#stunClient.expire(now)
    const events: ProberEvent[] = []
    const round = this.#rounds.advance(now)
    if (round) events.push(...this.#heard(now, round))
    if (this.#survey?.survey.advance(now)) events.push(...this.#endSurvey(now))
    if (this.#backgroundTests) events.push(...this.#advanceLearner(now, this.#backgroundTests))
    return [
      ...this.#stunClient.flush(now),
      ...events.map((event): Action<ProberEvent> => ({ type: 'event', event })),
    ]
  }

  #heard(now: number, { startedAt, fresh, surprise }: RoundResult): ProberEvent[] {
    const before = this.#view
    if (!before) return this.#lookCloser(now, fresh, startedAt + this.#verdictMs)
    const settled = confirmChange(before, fresh, surprise, this.#options.localEndpoints, this.#findings)
    if (settled === before) return []
    if (samePlace(before, settled)) return this.#emit(now, settled)
    // Another NAT, perhaps: what was found does not hold any more.
    this.#findings = {}
    this.#backgroundTests?.stop()
    this.#backgroundTests = null
    return this.#lookCloser(now, settled.observations, now + this.#verdictMs)
  }

  #lookCloser(now: number, observations: readonly Observation[], deadline: number): ProberEvent[] {
    this.#survey?.survey.stop()
    this.#survey = null
    const { localEndpoints } = this.#options
    const judged = ofJudgedFamily(observations)
    const witnesses = judged.flatMap(({ server }) => this.#rounds.witness(server) ?? [])
    if (witnesses.length === 0) return this.#emit(now, classify(observations, localEndpoints))
    // Another address that is also asked by itself is surely that server's.
    const isAsked = ({ other }: Witness) => this.#servers.some(({ address }) => address === other?.address)
    const survey = new BehaviorDiscovery({
      stunClient: this.#stunClient,
      now,
      deadline,
      witnesses: [...witnesses.filter(isAsked), ...witnesses.filter((witness) => !isAsked(witness))],
      mappingWith: (mapping) => classify(judged, localEndpoints, { mapping }).profile.mapping,
      portsKept: portsKept(judged, localEndpoints),
    })
    this.#survey = { survey, observations }
    return []
  }

  #endSurvey(now: number): ProberEvent[] {
    if (!this.#survey) return []
    const { survey, observations } = this.#survey
    this.#survey = null
    this.#findings = survey.result
    return this.#emit(now, classify(observations, this.#options.localEndpoints, this.#findings))
  }

  #emit(now: number, view: NatView): ProberEvent[] {
    const before = this.#view
    this.#view = view
    this.#backgroundTests ??= this.#startLearning(now, view)
    if (!before) return [{ type: 'profile', ...view }]
    return sameVerdict(before, view) ? [] : [{ type: 'changed', ...view }]
  }

  #startLearning(now: number, { observations, profile }: NatView): BackgroundTests | null {
    const { learn = ['hairpins', 'lifetime'], localEndpoints } = this.#options
    const judged = ofJudgedFamily(observations)
    const [first] = judged
    if (!first || learn.length === 0) return null
    // Without a NAT there is nothing to learn, and one that answers by destination has no endpoint to come back to.
    const learnable: Partial<Record<Mapping, readonly Learnable[]>> = {
      none: [],
      ADM: ['lifetime'],
      APDM: ['lifetime'],
    }
    const helper = judged.find(({ server }) => this.#rounds.witness(server)?.other)
    return new BackgroundTests({
      stunClient: this.#stunClient,
      now,
      learn: learn.filter((what) => learnable[profile.mapping]?.includes(what) ?? true),
      observation: helper ?? first,
      portsKept: portsKept(judged, localEndpoints),
    })
  }

  #advanceLearner(now: number, backgroundTests: BackgroundTests): ProberEvent[] {
    const news = backgroundTests.advance(now)
    if (!news || !this.#view) return []
    this.#findings = { ...this.#findings, ...news.findings }
    this.#view = classify(this.#view.observations, this.#options.localEndpoints, this.#findings)
    const { lifetimeMs } = this.#view.profile
    if (news.done && lifetimeMs !== undefined) this.#rounds.outlive(lifetimeMs)
    return [{ type: 'learned', done: news.done, ...this.#view }]
  }
}

/** The same public addresses, and the same kind of mapping. */
function samePlace(a: NatView, b: NatView): boolean {
  const addressesOf = ({ publicEndpoints }: NatView) =>
    [...new Set(publicEndpoints.map(({ address }) => address))].sort().join()
  return a.profile.mapping === b.profile.mapping && addressesOf(a) === addressesOf(b)
}
