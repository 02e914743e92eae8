// An agent's network part: one socket on a simulated network, with the real prober, plan and punch machine
// driven by the real loop.

import type { Candidate, Endpoint } from '../../../src/base/endpoint.ts'
import type { NatProfile } from '../../../src/base/nat-profile.ts'
import { createProber, type NatView, type ProberEvent } from '../../../src/nat/prober.ts'
import { isStun } from '../../../src/nat/stun.ts'
import { type Driver, drive } from '../../../src/net/drive.ts'
import type { CheckKeys } from '../../../src/punch/check.ts'
import { type Plan, plan } from '../../../src/punch/plan.ts'
import { createPunch, type Path, type Punch, type PunchEvent } from '../../../src/punch/punch.ts'
import { seededCrypto } from '../seeded-crypto.ts'
import type { Datagram, Member, Segment } from './simulated-network.ts'
import type { SimulatedTime } from './simulated-time.ts'

export type AgentOptions = {
  readonly clock: SimulatedTime
  readonly segment: Segment
  readonly local: Endpoint
  readonly servers: readonly Endpoint[]
  readonly seed: number
  /** Entered by hand (mission D9), over what the prober finds. */
  readonly known?: Partial<NatProfile>
}

/** What the mail brings of a peer. */
export type Offer = {
  readonly nat: NatProfile
  readonly candidates: readonly Candidate[]
  readonly sameNat: boolean
}

export class SimulatedAgent implements Member {
  readonly #options: AgentOptions
  readonly #prober: Driver<ProberEvent>
  #punch: Driver<PunchEvent> | null = null
  #punchMachine: Punch | null = null
  readonly changes: NatView[] = []
  view: NatView | null = null
  plan: Plan | null = null
  /** Found last, so the best. */
  path: Path | null = null
  /** Sent by us up to the first path. */
  packetsToPath: number | null = null
  ended: 'failed' | 'done' | null = null

  constructor(options: AgentOptions) {
    this.#options = options
    options.segment.join(options.local.address, this)
    this.#prober = drive({
      machine: createProber({
        crypto: seededCrypto(options.seed),
        servers: options.servers,
        localEndpoints: [options.local],
        now: options.clock.now(),
      }),
      clock: options.clock,
      send: (bytes, to) => this.#send(bytes, to),
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
    return [
      { kind: 'host', endpoint: this.#options.local },
      ...(this.view?.publicEndpoints ?? []).map(
        (endpoint): Candidate => ({ kind: 'server-reflexive', endpoint }),
      ),
    ]
  }

  /** Packets of punching, in all. */
  get packets(): number {
    return this.#punchMachine?.packets ?? 0
  }

  /** A letter arrived: plan, and punch where the plan allows. */
  meet(offer: Offer, keys: CheckKeys): void {
    const { clock, seed } = this.#options
    this.plan = plan({ nat: this.nat, candidates: this.candidates }, offer)
    if (this.plan.strategy === 'none') return
    const { targets, budget } = this.plan
    const now = clock.now()
    const { sameNat } = offer
    this.#punchMachine = createPunch({
      crypto: seededCrypto(seed + 7919),
      keys,
      targets,
      budget,
      sameNat,
      now,
    })
    this.#punch = drive({
      machine: this.#punchMachine,
      clock,
      send: (bytes, to) => this.#send(bytes, to),
      onEvent: (event) => {
        if (event.type === 'path' || event.type === 'better-path') this.path = event.path
        else this.ended = event.type
        if (event.type === 'path') this.packetsToPath = event.packets
      },
    })
  }

  receive({ bytes, from, to }: Datagram): void {
    if (to.port !== this.#options.local.port) return
    if (isStun(bytes)) this.#prober.receive(bytes, from)
    else this.#punch?.receive(bytes, from)
  }

  #send(bytes: Uint8Array, to: Endpoint): void {
    this.#options.segment.send({ from: this.#options.local, to, bytes })
  }
}
