// Learns our public endpoint from STUN servers, and keeps asking so that the mapping stays open (B4, C4).
// Determines the NAT's behavior before it emits the first view (D1, D2), and runs longer tests in the
// background.
//
//            enough answers, or time over          discovery done, or verdictMs over
//   first round ───────────────────────▶ discovery ──────────────────────────────▶ verdict
//        │ no answer                         ▲ another address or mapping               │
//        ▼                                   │                                          ▼  every keepaliveMs
//   wait, doubling up to 60 s ──▶ again: all servers ◀─── unexpected answer ─── keepalive: one server in turn

import type { Crypto } from '../base/crypto.ts'
import { distinctEndpoints, type Endpoint } from '../base/endpoint.ts'
import type { Mapping } from '../base/nat-profile.ts'
import type { Action, Machine, Via } from '../base/protocol-machine.ts'
import { type BackgroundFinding, BackgroundTests } from './background-tests.ts'
import { type AnsweringServer, BehaviorDiscovery } from './behavior-discovery.ts'
import {
  classify,
  type Findings,
  type NatView,
  type Observation,
  ofClassifiedFamily,
  portsKept,
} from './classify-nat.ts'
import { confirmChange, sameVerdict } from './confirm-nat-change.ts'
import { type RoundResult, ServerPolling } from './server-polling.ts'
import { StunClient } from './stun-client.ts'

export type { BackgroundFinding } from './background-tests.ts'
export type { NatView, Observation } from './classify-nat.ts'

export type ProberEvent =
  /** Emitted exactly once: the first verdict. */
  | ({ readonly type: 'profile' } & NatView)
  /** Any later verdict that differs. */
  | ({ readonly type: 'changed' } & NatView)
  /** Findings that other agents do not need; `done` when there will be no more for now. */
  | ({ readonly type: 'learned'; readonly done: boolean } & NatView)

type ProberOptions = {
  readonly crypto: Pick<Crypto, 'randomBytes'>
  /** Resolved, and reachable by the socket. Those beyond 8 are not used. */
  readonly servers: readonly Endpoint[]
  /** Our own addresses with the socket's port (see net/network-interfaces.ts). */
  readonly localEndpoints: readonly Endpoint[]
  readonly now: number
  /**
   * Gap between two keepalive requests. The shortest mapping lifetime in the field is 10 s; 8 s leave room for
   * two retransmissions, in case the request is lost before it reaches the NAT.
   */
  readonly keepaliveMs?: number
  /** Latest time of the first verdict, counted from the start. */
  readonly verdictMs?: number
  /** Background tests after the verdict; all by default. */
  readonly backgroundTests?: readonly BackgroundFinding[]
}

interface Prober extends Machine<ProberEvent> {
  /** Nothing is sent or answered afterwards. */
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
  readonly #polling: ServerPolling
  /** Null until the first verdict. */
  #view: NatView | null = null
  #findings: Findings = {}
  /** The running discovery, and the observations for the verdict after it. */
  #discovery: {
    readonly discovery: BehaviorDiscovery
    readonly observations: readonly Observation[]
  } | null = null
  #backgroundTests: BackgroundTests | null = null
  #stopped = false

  constructor(options: ProberOptions) {
    const { servers, keepaliveMs = 8_000, verdictMs = 3_000 } = options
    this.#options = options
    this.#stunClient = new StunClient(options.crypto)
    this.#servers = distinctEndpoints(servers).slice(0, maxServers)
    this.#verdictMs = verdictMs
    this.#polling = new ServerPolling({
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
      this.#polling.nextTimeout(),
      this.#stunClient.nextTimeout(),
      this.#discovery?.discovery.nextTimeout() ?? null,
      this.#backgroundTests?.nextTimeout() ?? null,
    ]
    return Math.min(...due.filter((at) => at !== null))
  }

  handleTimeout(now: number): Action<ProberEvent>[] {
    return this.#stopped ? [] : this.#advance(now)
  }

  handleDatagram(now: number, bytes: Uint8Array, from: Endpoint, via: Via = 0): Action<ProberEvent>[] {
    if (this.#stopped || !this.#stunClient.handleDatagram(now, bytes, from, via)) return []
    return this.#advance(now)
  }

  handleSocketFailure(now: number, via: Via): Action<ProberEvent>[] {
    if (this.#stopped) return []
    this.#stunClient.failSocket(via)
    return this.#advance(now)
  }

  stop(): void {
    this.#stopped = true
  }

  #advance(now: number): Action<ProberEvent>[] {
    this.#stunClient.expire(now)
    const events: ProberEvent[] = []
    const round = this.#polling.advance(now)
    if (round) events.push(...this.#handleRound(now, round))
    if (this.#discovery?.discovery.advance(now)) events.push(...this.#endDiscovery(now))
    if (this.#backgroundTests) events.push(...this.#advanceBackgroundTests(now, this.#backgroundTests))
    return [
      ...this.#stunClient.flush(now),
      ...events.map((event): Action<ProberEvent> => ({ type: 'event', event })),
    ]
  }

  #handleRound(now: number, { startedAt, observations, unexpected }: RoundResult): ProberEvent[] {
    const before = this.#view
    if (!before) return this.#startDiscovery(now, observations, startedAt + this.#verdictMs)
    const confirmed = confirmChange(
      before,
      observations,
      unexpected,
      this.#options.localEndpoints,
      this.#findings,
    )
    if (confirmed === before) return []
    if (isSameNat(before, confirmed)) return this.#emit(now, confirmed)
    // It may be another NAT: the findings do not hold any more.
    this.#findings = {}
    this.#backgroundTests?.stop()
    this.#backgroundTests = null
    return this.#startDiscovery(now, confirmed.observations, now + this.#verdictMs)
  }

  #startDiscovery(now: number, observations: readonly Observation[], deadline: number): ProberEvent[] {
    this.#discovery?.discovery.stop()
    this.#discovery = null
    const { localEndpoints } = this.#options
    const classified = ofClassifiedFamily(observations)
    const answering = classified.flatMap(({ server }) => this.#polling.answeringServer(server) ?? [])
    if (answering.length === 0) return this.#emit(now, classify(observations, localEndpoints))
    // A server whose other address is also in our list is surely honest about it.
    const isListed = ({ other }: AnsweringServer) =>
      this.#servers.some(({ address }) => address === other?.address)
    const discovery = new BehaviorDiscovery({
      stunClient: this.#stunClient,
      now,
      deadline,
      servers: [...answering.filter(isListed), ...answering.filter((server) => !isListed(server))],
      mappingWith: (mapping) => classify(classified, localEndpoints, { mapping }).profile.mapping,
      portsKept: portsKept(classified, localEndpoints),
    })
    this.#discovery = { discovery, observations }
    return []
  }

  #endDiscovery(now: number): ProberEvent[] {
    if (!this.#discovery) return []
    const { discovery, observations } = this.#discovery
    this.#discovery = null
    this.#findings = discovery.result
    return this.#emit(now, classify(observations, this.#options.localEndpoints, this.#findings))
  }

  #emit(now: number, view: NatView): ProberEvent[] {
    const before = this.#view
    this.#view = view
    this.#backgroundTests ??= this.#startBackgroundTests(now, view)
    if (!before) return [{ type: 'profile', ...view }]
    return sameVerdict(before, view) ? [] : [{ type: 'changed', ...view }]
  }

  #startBackgroundTests(now: number, { observations, profile }: NatView): BackgroundTests | null {
    const { backgroundTests = ['hairpins', 'lifetime'], localEndpoints } = this.#options
    const classified = ofClassifiedFamily(observations)
    const [first] = classified
    if (!first || backgroundTests.length === 0) return null
    // Without a NAT there is nothing to test. A NAT with a mapping per destination has no public endpoint to
    // hairpin to.
    const findingsByMapping: Partial<Record<Mapping, readonly BackgroundFinding[]>> = {
      none: [],
      ADM: ['lifetime'],
      APDM: ['lifetime'],
    }
    const rfc5780Observation = classified.find(({ server }) => this.#polling.answeringServer(server)?.other)
    return new BackgroundTests({
      stunClient: this.#stunClient,
      now,
      tests: backgroundTests.filter(
        (finding) => findingsByMapping[profile.mapping]?.includes(finding) ?? true,
      ),
      observation: rfc5780Observation ?? first,
      portsKept: portsKept(classified, localEndpoints),
    })
  }

  #advanceBackgroundTests(now: number, backgroundTests: BackgroundTests): ProberEvent[] {
    const progress = backgroundTests.advance(now)
    if (!progress || !this.#view) return []
    this.#findings = { ...this.#findings, ...progress.findings }
    this.#view = classify(this.#view.observations, this.#options.localEndpoints, this.#findings)
    const { lifetimeMs } = this.#view.profile
    if (progress.done && lifetimeMs !== undefined) this.#polling.shortenKeepalive(lifetimeMs)
    return [{ type: 'learned', done: progress.done, ...this.#view }]
  }
}

/** Whether both views have the same public addresses and the same mapping. */
function isSameNat(a: NatView, b: NatView): boolean {
  const addressesOf = ({ publicEndpoints }: NatView) =>
    [...new Set(publicEndpoints.map(({ address }) => address))].sort().join()
  return a.profile.mapping === b.profile.mapping && addressesOf(a) === addressesOf(b)
}
