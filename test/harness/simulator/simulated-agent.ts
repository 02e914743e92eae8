// The network part of an agent: one computer on a simulated network, with the real prober, plan and punch
// machine, driven by the real driver.

import type { Candidate, Endpoint } from '../../../src/base/endpoint.ts'
import type { NatProfile } from '../../../src/base/nat-profile.ts'
import type { Via } from '../../../src/base/protocol-machine.ts'
import type { Signal } from '../../../src/base/signaling-message.ts'
import { openSignal, sealSignal } from '../../../src/letter/seal-signal.ts'
import { dataByte } from '../../../src/link/packet-codec.ts'
import { createProber, type NatView, type ProberEvent } from '../../../src/nat/nat-prober.ts'
import { type Driver, drive } from '../../../src/net/protocol-machine-driver.ts'
import type { CheckKeys } from '../../../src/punch/check-packet.ts'
import type { Path } from '../../../src/punch/connectivity-checks.ts'
import { type Attempt, type AttemptEvent, createAttempt } from '../../../src/punch/punch-attempt.ts'
import { type Plan, plan } from '../../../src/punch/punch-plan.ts'
import type { CheckCrypto } from './cheap-crypto.ts'
import { type SimulatedComputer, SimulatedSockets } from './simulated-computer.ts'
import type { SimulatedNat } from './simulated-nat.ts'
import type { SimulatedTime } from './simulated-time.ts'

/** Short enough for the shortest mapping lifetime in the field. */
const dataEveryMs = 2_000

export type AgentOptions = {
  readonly clock: SimulatedTime
  readonly computer: SimulatedComputer
  readonly local: Endpoint
  readonly ipv6?: Endpoint
  readonly servers: readonly Endpoint[]
  readonly crypto: CheckCrypto
  readonly random: () => number
  /** Error of its wall clock. */
  readonly wallAheadMs: number
  /** A profile set by hand (D9), which overrides the prober's. */
  readonly known?: Partial<NatProfile>
}

/** What an agent learns about a peer by mail. */
export type Offer = {
  readonly nat: NatProfile
  readonly candidates: readonly Candidate[]
  readonly sameNat: boolean
}

/** How the two sides of an attempt exchange letters during punching. */
export type LetterExchange = {
  readonly role: 'opener' | 'responder'
  /** Time from the agent's own request to its reply, if there was one. */
  readonly mailMs?: number
  /** Sends a letter with this signal, which only the peer can open. */
  readonly sendSignal: (signal: Signal, box: Uint8Array) => void
}

export class SimulatedAgent {
  readonly #options: AgentOptions
  readonly #prober: Driver<ProberEvent>
  #punch: Driver<AttemptEvent> | null = null
  #attempt: Attempt | null = null
  readonly #proberSockets: SimulatedSockets
  #sockets: SimulatedSockets | null = null
  #keys: CheckKeys | null = null
  readonly changes: NatView[] = []
  /** Candidates in addition to the prober's. */
  readonly mapped: Candidate[] = []
  view: NatView | null = null
  plan: Plan | null = null
  /** The last path found, which is the best. */
  path: Path | null = null
  /** Packets we sent up to the first path. */
  packetsToPath: number | null = null
  ended: 'failed' | 'done' | null = null
  /** The machine's reason of failure. */
  failureReason: string | null = null
  /** When the last data arrived on the path. */
  lastDataAt = Number.NEGATIVE_INFINITY
  #isSendingData = false
  /** Signals received before the attempt began. */
  readonly #earlySignals: Uint8Array[] = []

  constructor(options: AgentOptions) {
    this.#options = options
    const { clock, computer, crypto, servers, local } = options
    computer.listen((bytes, from) => this.#receive(bytes, from, 0))
    this.#proberSockets = new SimulatedSockets({
      clock,
      computer,
      onDatagram: (bytes, from, via) => this.#prober.receive(bytes, from, via),
      onFailure: (via) => this.#prober.socketFailed(via),
    })
    this.#prober = drive({
      machine: createProber({
        crypto,
        servers,
        localEndpoints: [local],
        now: clock.now(),
        // With a known profile there is nothing to test in the background.
        ...(options.known?.mapping && { backgroundTests: [] }),
      }),
      clock,
      send: (bytes, to, via, ttl) => this.#proberSockets.send(bytes, to, via, ttl),
      close: (via) => this.#proberSockets.close(via),
      onEvent: (event) => {
        this.view = event
        if (event.type === 'changed') this.changes.push(event)
      },
    })
  }

  get nat(): NatProfile {
    if (!this.view) throw new Error('there is no NAT profile yet')
    return { ...this.view.profile, ...this.#options.known }
  }

  get candidates(): Candidate[] {
    const { local, ipv6 } = this.#options
    return [
      { kind: 'host', endpoint: local },
      ...(ipv6 ? [{ kind: 'server-reflexive', endpoint: ipv6 } as const] : []),
      ...this.mapped,
      ...(this.view?.publicEndpoints ?? []).map(
        (endpoint): Candidate => ({ kind: 'server-reflexive', endpoint }),
      ),
    ]
  }

  wallNow(): number {
    return this.#options.clock.wallNow() + this.#options.wallAheadMs
  }

  /** Datagrams of the attempt that were really sent, whatever the machine reports. */
  get packets(): number {
    return this.#sockets?.sent ?? 0
  }

  /** The number of packets that the machine reports. */
  get reportedPackets(): number {
    return this.#attempt?.packets ?? 0
  }

  /** Open extra sockets of the attempt. */
  get openSockets(): number {
    return this.#sockets?.size ?? 0
  }

  /** Makes its gateway open its main port for everybody. */
  addMapped(nat: SimulatedNat): void {
    const { local } = this.#options
    this.mapped.push({ kind: 'port-mapped', endpoint: nat.mapPort(local, local.port) })
  }

  /** A letter arrived: makes a plan, and punches if the plan allows. */
  connect(offer: Offer, keys: CheckKeys, letters: LetterExchange): void {
    const { clock, computer, crypto, servers, random } = this.#options
    const verdict = plan({ nat: this.nat, candidates: this.candidates }, offer)
    this.plan = verdict
    if (verdict.strategy === 'none') return
    const attempt = createAttempt({
      crypto,
      keys,
      plan: verdict,
      sameNat: offer.sameNat,
      now: clock.now(),
      role: letters.role,
      servers,
      wallNow: this.wallNow(),
      mailMs: letters.mailMs ?? null,
      random,
    })
    const sockets = new SimulatedSockets({
      clock,
      computer,
      onDatagram: (bytes, from, via) => this.#receive(bytes, from, via),
      onFailure: (via) => this.#punch?.socketFailed(via),
    })
    this.#attempt = attempt
    this.#keys = keys
    this.#sockets = sockets
    this.#punch = drive({
      machine: attempt,
      clock,
      send: (bytes, to, via, ttl) => sockets.send(bytes, to, via, ttl),
      close: (via) => sockets.close(via),
      onEvent: (event) => {
        // Uses the real letter codec, so that only signals that can be encoded are sent.
        if (event.type === 'signal') letters.sendSignal(event.signal, sealSignal(crypto, keys, event.signal))
        else this.#handle(event)
      },
    })
    for (const box of this.#earlySignals.splice(0)) this.receiveSignal(box)
  }

  /** Handles a signal letter from the peer. */
  receiveSignal(box: Uint8Array): void {
    const { crypto } = this.#options
    const attempt = this.#attempt
    if (!this.plan) this.#earlySignals.push(box)
    if (!attempt || !this.#keys) return
    const signal = openSignal(crypto, this.#keys, box)
    if (!signal) throw new Error('a signal that the peer cannot read')
    this.#punch?.run((now) => attempt.handleSignal(now, signal))
  }

  #handle(event: Exclude<AttemptEvent, { type: 'signal' }>): void {
    switch (event.type) {
      case 'path':
        this.packetsToPath = event.packets
        this.path = event.path
        break
      case 'better-path':
        this.path = event.path
        break
      case 'failed':
        this.failureReason = event.reason
        this.ended = 'failed'
        return
      case 'done':
        this.ended = 'done'
        return
    }
    if (!this.#isSendingData) this.#sendData()
    this.#isSendingData = true
  }

  /** Like a link, keeps the path alive and shows that it works. */
  #sendData(): void {
    if (this.path) this.#sockets?.sendData(Uint8Array.of(dataByte), this.path.remote, this.path.via)
    this.#options.clock.after(dataEveryMs, () => this.#sendData())
  }

  #receive(bytes: Uint8Array, from: Endpoint, via: Via): void {
    if (bytes[0] === dataByte) this.lastDataAt = this.#options.clock.now()
    // Each knows its own requests. An extra socket belongs to only one of them.
    if (via === 0) this.#prober.receive(bytes, from)
    this.#punch?.receive(bytes, from, via)
  }
}
