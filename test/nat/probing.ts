// A prober on a simulated computer behind a NAT, with servers that can be made faulty.

import type { Endpoint } from '../../src/base/endpoint.ts'
import {
  type BackgroundFinding,
  createProber,
  type NatView,
  type ProberEvent,
} from '../../src/nat/nat-prober.ts'
import { type Driver, drive } from '../../src/net/protocol-machine-driver.ts'
import { answerRequest } from '../harness/answer-stun.ts'
import { seededCrypto, seededRandom } from '../harness/seeded-crypto.ts'
import { SimulatedComputer, SimulatedSockets } from '../harness/simulator/simulated-computer.ts'
import { type NatKind, SimulatedNat } from '../harness/simulator/simulated-nat.ts'
import { createInternet, createLan, type Datagram } from '../harness/simulator/simulated-network.ts'
import { SimulatedStun, stunEndpoints } from '../harness/simulator/simulated-stun.ts'
import { SimulatedTime } from '../harness/simulator/simulated-time.ts'

export type ProbingOptions = {
  /** Null means no NAT. */
  readonly kind: NatKind | null
  readonly seed?: number
  readonly loss?: number
  readonly addresses?: readonly string[]
  /** Default: all four endpoints of one server with two addresses. */
  readonly servers?: readonly Endpoint[]
  /** Default: nothing. */
  readonly backgroundTests?: readonly BackgroundFinding[]
  readonly maxSockets?: number
}

export const publicAddress = '11.0.2.1'
/** Servers with one address each, which support nothing of RFC 5780 but RESPONSE-PORT. */
export const plainServers: readonly Endpoint[] = [
  { address: '11.0.3.1', port: 3478 },
  { address: '11.0.3.2', port: 3478 },
  { address: '11.0.3.3', port: 3478 },
]

export class Probing {
  readonly time = new SimulatedTime()
  readonly stun: SimulatedStun
  readonly nat: SimulatedNat | null
  readonly sockets: SimulatedSockets
  readonly local: Endpoint
  readonly events: { readonly at: number; readonly event: ProberEvent }[] = []
  /** What one of `plainServers` sends instead of its answer; null for silence. */
  readonly behaviors = new Map<string, (honest: Datagram, request: Datagram) => Datagram | null>()
  readonly #driver: Driver<ProberEvent>

  constructor(options: ProbingOptions) {
    const { kind, seed = 1, loss = 0, servers = stunEndpoints, backgroundTests = [], maxSockets } = options
    const { addresses = [publicAddress] } = options
    const { time: clock } = this
    const random = seededRandom(seed)
    const internet = createInternet(clock, random, loss)
    this.stun = new SimulatedStun(clock, internet)
    for (const { address } of plainServers) {
      internet.join(address, {
        receive: (request) => {
          const honest = answerRequest(request, null)
          const behavior = this.behaviors.get(address)
          const answer = honest && behavior ? behavior(honest, request) : honest
          if (answer) internet.send(answer)
        },
      })
    }
    const inside = createLan(clock, random)
    this.nat = kind && new SimulatedNat({ clock, random, kind, addresses, outside: internet, inside })
    this.local = { address: kind ? '192.168.1.2' : publicAddress, port: 40_000 }
    const segment = kind ? inside : internet
    const computer = new SimulatedComputer({
      clock,
      random,
      segment,
      local: this.local,
      ...(maxSockets !== undefined && { maxSockets }),
    })
    this.sockets = new SimulatedSockets({
      clock,
      computer,
      onDatagram: (bytes, from, via) => this.#driver.receive(bytes, from, via),
      onFailure: (via) => this.#driver.socketFailed(via),
    })
    computer.listen((bytes, from) => this.#driver.receive(bytes, from))
    this.#driver = drive({
      machine: createProber({
        crypto: seededCrypto(seed),
        servers,
        localEndpoints: [this.local],
        now: clock.now(),
        backgroundTests,
      }),
      clock,
      send: (bytes, to, via, ttl) => this.sockets.send(bytes, to, via, ttl),
      close: (via) => this.sockets.close(via),
      onEvent: (event) => this.events.push({ at: clock.now(), event }),
    })
  }

  /** The first verdict; throws when there is none within 3 s. */
  verdict(): NatView {
    this.time.runUntil(() => this.events.length > 0, 3_000)
    const [first] = this.events
    if (first?.event.type !== 'profile') throw new Error('no verdict')
    return first.event
  }

  /** The last view when all background tests are done. */
  learned(withinMs: number): NatView | null {
    const isDone = () => this.events.some(({ event }) => event.type === 'learned' && event.done)
    if (!this.time.runUntil(isDone, withinMs)) return null
    return this.events.at(-1)?.event ?? null
  }

  behave(server: Endpoint, behavior: (honest: Datagram, request: Datagram) => Datagram | null): void {
    this.behaviors.set(server.address, behavior)
  }
}
