// An agent's network part: one computer on a simulated network, with the real prober, plan and punch machine
// driven by the real loop.

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

/** Often enough for the shortest mapping in the field. */
const talkMs = 2_000

export type AgentOptions = {
  readonly clock: SimulatedTime
  readonly computer: SimulatedComputer
  readonly local: Endpoint
  readonly six?: Endpoint
  readonly servers: readonly Endpoint[]
  readonly crypto: CheckCrypto
  readonly random: () => number
  /** How far its wall clock is ahead of the right time. */
  readonly wallAheadMs: number
  /** Entered by hand (D9), over what the prober finds. */
  readonly known?: Partial<NatProfile>
}

/** What the mail brings of a peer. */
export type Offer = {
  readonly nat: NatProfile
  readonly candidates: readonly Candidate[]
  readonly sameNat: boolean
}

/** How the two of an attempt speak to each other beside the punching. */
export type Letters = {
  readonly role: 'opener' | 'responder'
  /** From the agent's own request to its reply, when there was one. */
  readonly mailMs?: number
  /** Sends a letter with this in it, which only the peer can open. */
  readonly tell: (signal: Signal, box: Uint8Array) => void
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
  /** Candidates beside those that the prober finds. */
  readonly mapped: Candidate[] = []
  view: NatView | null = null
  plan: Plan | null = null
  /** Found last, so the best. */
  path: Path | null = null
  /** Sent by us up to the first path. */
  packetsToPath: number | null = null
  ended: 'failed' | 'done' | null = null
  /** The machine's word for why it failed. */
  failedBecause: string | null = null
  /** When something last came by the peer's path. */
  lastDataAt = Number.NEGATIVE_INFINITY
  #talking = false
  /** Said before there was anybody to say it to. */
  readonly #unheard: Uint8Array[] = []

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
        // Who is told everything has nothing to find out in the background.
        ...(options.known?.mapping && { learn: [] }),
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
    const { local, six } = this.#options
    return [
      { kind: 'host', endpoint: local },
      ...(six ? [{ kind: 'server-reflexive', endpoint: six } as const] : []),
      ...this.mapped,
      ...(this.view?.publicEndpoints ?? []).map(
        (endpoint): Candidate => ({ kind: 'server-reflexive', endpoint }),
      ),
    ]
  }

  wallNow(): number {
    return this.#options.clock.wallNow() + this.#options.wallAheadMs
  }

  /** Datagrams of the attempt that really left, whatever the machine says. */
  get packets(): number {
    return this.#sockets?.sent ?? 0
  }

  /** What the machine says it sent. */
  get packetsClaimed(): number {
    return this.#attempt?.packets ?? 0
  }

  /** Extra sockets of the attempt that are still open. */
  get openSockets(): number {
    return this.#sockets?.size ?? 0
  }

  /** Its gateway opens its main port for everybody. */
  addMapped(nat: SimulatedNat): void {
    const { local } = this.#options
    this.mapped.push({ kind: 'port-mapped', endpoint: nat.mapPort(local, local.port) })
  }

  /** A letter arrived: plan, and punch where the plan allows. */
  meet(offer: Offer, keys: CheckKeys, letters: Letters): void {
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
        // Through the real letter, so that nothing is said that could not be written.
        if (event.type === 'signal') letters.tell(event.signal, sealSignal(crypto, keys, event.signal))
        else this.#handle(event)
      },
    })
    for (const box of this.#unheard.splice(0)) this.hear(box)
  }

  /** A signal letter from the peer. */
  hear(box: Uint8Array): void {
    const { crypto } = this.#options
    const attempt = this.#attempt
    if (!this.plan) this.#unheard.push(box)
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
        this.failedBecause = event.reason
        this.ended = 'failed'
        return
      case 'done':
        this.ended = 'done'
        return
    }
    if (!this.#talking) this.#talk()
    this.#talking = true
  }

  /** As a link would, it keeps the path alive and shows that it is one. */
  #talk(): void {
    if (this.path) this.#sockets?.sendData(Uint8Array.of(dataByte), this.path.remote, this.path.via)
    this.#options.clock.after(talkMs, () => this.#talk())
  }

  #receive(bytes: Uint8Array, from: Endpoint, via: Via): void {
    if (bytes[0] === dataByte) this.lastDataAt = this.#options.clock.now()
    // Both know their own questions; an extra socket of one is not the other's.
    if (via === 0) this.#prober.receive(bytes, from)
    this.#punch?.receive(bytes, from, via)
  }
}
