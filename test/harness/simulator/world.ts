// A small world to meet in: an internet with two STUN servers, agents behind NATs of any kind or none,
// and a mail that takes its time. Everything is drawn from one seed.

import { answerBinding } from '../../../src/address-server/answer.ts'
import type { Endpoint } from '../../../src/base/endpoint.ts'
import type { NatProfile } from '../../../src/base/nat-profile.ts'
import type { CheckKeys } from '../../../src/punch/check.ts'
import { seededCrypto, seededRandom } from '../seeded-crypto.ts'
import { type Offer, SimulatedAgent } from './simulated-agent.ts'
import { type NatKind, SimulatedNat } from './simulated-nat.ts'
import { Segment } from './simulated-network.ts'
import { SimulatedTime } from './simulated-time.ts'

export type WorldOptions = { readonly seed: number; readonly loss?: number }

/** Real unicast addresses: `addressScope` rightly calls the ranges for documentation unusable. */
const servers: readonly Endpoint[] = [
  { address: '11.0.0.1', port: 3478 },
  { address: '11.0.0.1', port: 3479 },
  { address: '11.0.0.2', port: 3478 },
]

export class World {
  readonly time = new SimulatedTime()
  readonly internet: Segment
  readonly #random: () => number
  readonly #seed: number
  #count = 0

  constructor({ seed, loss = 0 }: WorldOptions) {
    this.#seed = seed
    this.#random = seededRandom(seed)
    this.internet = new Segment({ clock: this.time, random: this.#random, delayMs: [15, 60], loss })
    for (const address of new Set(servers.map((server) => server.address))) {
      this.internet.join(address, {
        receive: ({ from, to, bytes }) => {
          const answer = answerBinding(bytes, from)
          if (answer) this.internet.send({ from: to, to: from, bytes: answer })
        },
      })
    }
  }

  /** An agent straight on the internet, or the first in a new LAN behind its own NAT. */
  agent(kind: NatKind | null, known?: Partial<NatProfile>): SimulatedAgent {
    const number = ++this.#count
    const address = `11.0.1.${number}`
    if (!kind) return this.#agentOn(this.internet, address, known)
    return this.agentIn(this.lan(kind, address), known)
  }

  lan(kind: NatKind, address = `11.0.2.${++this.#count}`): Segment {
    const inside = new Segment({ clock: this.time, random: this.#random, delayMs: [0.2, 1], loss: 0 })
    const firstPort = 20_000 + Math.floor(this.#random() * 20_000)
    new SimulatedNat({ clock: this.time, kind, address, outside: this.internet, inside, firstPort })
    return inside
  }

  agentIn(lan: Segment, known?: Partial<NatProfile>): SimulatedAgent {
    return this.#agentOn(lan, `192.168.1.${10 + ++this.#count}`, known)
  }

  /** Lets all agents find their public endpoints. */
  probe(...agents: readonly SimulatedAgent[]): void {
    if (!this.time.runUntil(() => agents.every(({ view }) => view !== null), 10_000)) {
      throw new Error('no verdict within 10 s')
    }
  }

  /** The mail tells each of the other: `a` at once, `b` after `offsetMs`. Host candidates only inside one NAT (B6). */
  introduce(a: SimulatedAgent, b: SimulatedAgent, offsetMs: number): void {
    const publicAddress = (agent: SimulatedAgent) => agent.view?.publicEndpoints[0]?.address
    const sameNat = publicAddress(a) !== undefined && publicAddress(a) === publicAddress(b)
    const offerOf = ({ nat, candidates }: SimulatedAgent): Offer => ({
      nat,
      candidates: candidates.filter(({ kind }) => sameNat || kind !== 'host'),
      sameNat,
    })
    const [offerOfA, offerOfB, keys] = [offerOf(a), offerOf(b), this.keys()]
    a.meet(offerOfB, keys.a)
    this.time.after(offsetMs, () => b.meet(offerOfA, keys.b))
  }

  keys(): { a: CheckKeys; b: CheckKeys } {
    return pairKeys(this.#seed)
  }

  #agentOn(segment: Segment, address: string, known?: Partial<NatProfile>): SimulatedAgent {
    return new SimulatedAgent({
      clock: this.time,
      segment,
      local: { address, port: 40_000 + this.#count },
      servers,
      seed: this.#seed * 31 + this.#count,
      ...(known && { known }),
    })
  }
}

/** Keys for the two sides of one attempt. */
export function pairKeys(seed: number): { a: CheckKeys; b: CheckKeys } {
  const crypto = seededCrypto(seed + 104_729)
  const [tag, one, other] = [crypto.randomBytes(8), crypto.randomBytes(32), crypto.randomBytes(32)]
  return {
    a: { tag, sendKey: one, receiveKey: other },
    b: { tag, sendKey: other, receiveKey: one },
  }
}
