// A small simulated world: an Internet with two STUN servers, agents behind NATs of any kind or none, and slow
// mail. Everything is drawn from one seed.

import type { NatProfile } from '../../../src/base/nat-profile.ts'
import type { Signal } from '../../../src/base/signaling-message.ts'
import type { CheckKeys } from '../../../src/punch/check-packet.ts'
import { seededCrypto, seededRandom } from '../seeded-crypto.ts'
import { cheapCrypto } from './cheap-crypto.ts'
import { behind, noNat } from './nat-kinds.ts'
import { type Offer, SimulatedAgent } from './simulated-agent.ts'
import { SimulatedComputer } from './simulated-computer.ts'
import { SimulatedMail } from './simulated-mail.ts'
import { type NatKind, SimulatedNat } from './simulated-nat.ts'
import { createInternet, createLan, type Segment } from './simulated-network.ts'
import { SimulatedStun, stunEndpoints } from './simulated-stun.ts'
import { SimulatedTime } from './simulated-time.ts'

export type WorldOptions = {
  readonly seed: number
  readonly loss?: number
  /** Nominal time of a letter from one agent to the other. */
  readonly mailMs?: number
  /** Share of letters that arrive twice. */
  readonly doubledMail?: number
  /** Largest error of each agent's wall clock, in either direction. */
  readonly clockErrorMs?: number
  /** Encryption would cost more than the rest of a run, and the real one shows nothing more about NATs. */
  readonly crypto?: 'real' | 'cheap'
}

export type Home = {
  readonly lan: Segment
  /** The NATs, innermost first. */
  readonly nats: readonly SimulatedNat[]
}

export type AgentChoices = {
  /** `truth`: the profile that a perfect prober would find. */
  readonly known?: Partial<NatProfile> | 'truth'
  readonly hasIpv6?: boolean
  readonly maxSockets?: number
}

export class World {
  readonly time = new SimulatedTime()
  readonly internet: Segment
  readonly stun: SimulatedStun
  /** STUN servers of new agents. */
  readonly servers = [...stunEndpoints]
  readonly mail: SimulatedMail
  readonly random: () => number
  readonly #options: WorldOptions
  readonly #waits: { readonly from: number; readonly until: number }[] = []
  #count = 0

  constructor(options: WorldOptions) {
    this.#options = options
    const { seed, loss = 0, mailMs = 0, doubledMail = 0 } = options
    this.random = seededRandom(seed)
    this.internet = createInternet(this.time, this.random, loss)
    this.stun = new SimulatedStun(this.time, this.internet)
    this.mail = new SimulatedMail({
      clock: this.time,
      random: this.random,
      delayMs: mailMs,
      doubled: doubledMail,
    })
  }

  /** An agent directly on the Internet, or in a new LAN behind its own NAT. */
  agent(kind: NatKind | null, choices: AgentChoices = {}): SimulatedAgent {
    if (kind) return this.agentIn(this.home(kind), choices)
    return this.#agentOn(this.internet, `11.0.1.${++this.#count}`, [], choices)
  }

  /** A LAN behind a NAT with so many public addresses; it is on the Internet unless `carrier` is given. */
  home(kind: NatKind, { addresses = 1, carrier }: { addresses?: number; carrier?: Home } = {}): Home {
    const inside = createLan(this.time, this.random)
    const prefix = carrier ? '100.64.0' : '11.0.2'
    const nat = new SimulatedNat({
      clock: this.time,
      random: this.random,
      kind,
      addresses: Array.from({ length: addresses }, () => `${prefix}.${++this.#count}`),
      outside: carrier?.lan ?? this.internet,
      inside,
    })
    return { lan: inside, nats: [nat, ...(carrier?.nats ?? [])] }
  }

  agentIn({ lan, nats }: Home, choices: AgentChoices = {}): SimulatedAgent {
    return this.#agentOn(lan, `192.168.1.${10 + ++this.#count}`, nats, choices)
  }

  /** Runs until all agents know their public endpoints. */
  probe(...agents: readonly SimulatedAgent[]): void {
    if (!this.time.runUntil(() => agents.every(({ view }) => view !== null), 30_000)) {
      throw new Error('no verdict within 30 s')
    }
  }

  /** Introduces the two agents: `a` at once, `b` after `offsetMs`. Host candidates only inside one NAT (B6). */
  introduce(a: SimulatedAgent, b: SimulatedAgent, offsetMs: number): void {
    this.#introduceBoth(a, b, { a: () => 0, b: () => offsetMs })
  }

  /**
   * As with real mail: `a` has already sent its request. Now `b` sends one, and some letters later each learns
   * of the other, in its state at its request.
   */
  introduceByMail(a: SimulatedAgent, b: SimulatedAgent): void {
    this.#introduceBoth(
      a,
      b,
      { a: () => this.mail.drawMs(), b: () => this.mail.drawMs() },
      this.mail.drawMs(),
    )
  }

  #introduceBoth(
    a: SimulatedAgent,
    b: SimulatedAgent,
    after: { readonly a: () => number; readonly b: () => number },
    aMailMs?: number,
  ): void {
    const publicAddress = (agent: SimulatedAgent) => agent.view?.publicEndpoints[0]?.address
    const sameNat = publicAddress(a) !== undefined && publicAddress(a) === publicAddress(b)
    const offerOf = ({ nat, candidates }: SimulatedAgent): Offer => ({
      nat,
      candidates: candidates.filter(({ kind }) => sameNat || kind !== 'host'),
      sameNat,
    })
    const [offerOfA, offerOfB, keys] = [offerOf(a), offerOf(b), this.keys()]
    const aOpens = this.random() < 0.5
    const [delayA, delayB] = [after.a(), after.b()]
    const connect = (side: 'a' | 'b') => {
      const [self, peer, offer] = side === 'a' ? [a, b, offerOfB] : [b, a, offerOfA]
      const mailMs = side === 'b' ? delayB : aMailMs
      self.connect(offer, keys[side], {
        role: aOpens === (side === 'a') ? 'opener' : 'responder',
        ...(mailMs !== undefined && { mailMs }),
        sendSignal: (signal, box) => this.#deliver(signal, box, self, peer),
      })
    }
    if (delayA === 0) connect('a')
    else this.time.after(delayA, () => connect('a'))
    this.time.after(delayB, () => connect('b'))
  }

  #deliver(signal: Signal, box: Uint8Array, sender: SimulatedAgent, receiver: SimulatedAgent): void {
    const readAt = this.mail.send(() => receiver.receiveSignal(box))
    const agreedAt = signal.type === 'search' ? signal.startAt - sender.wallNow() + this.time.now() : readAt
    this.#waits.push({ from: this.time.now(), until: Math.max(readAt, agreedAt) })
  }

  /** How much of this time letters were in transit, or an agreed start time was awaited. */
  waitedMs(from: number, until: number): number {
    let [sum, reached] = [0, from]
    for (const wait of this.#waits.toSorted((a, b) => a.from - b.from)) {
      const end = Math.min(wait.until, until)
      sum += Math.max(0, end - Math.max(wait.from, reached))
      reached = Math.max(reached, end)
    }
    return sum
  }

  keys(): { a: CheckKeys; b: CheckKeys } {
    return pairKeys(this.#options.seed)
  }

  #agentOn(
    segment: Segment,
    address: string,
    nats: readonly SimulatedNat[],
    { known, hasIpv6, maxSockets }: AgentChoices,
  ): SimulatedAgent {
    const number = ++this.#count
    const { seed, crypto = 'real', clockErrorMs = 0 } = this.#options
    const local = { address, port: 40_000 + number }
    const ipv6 = hasIpv6 && { address: `2600::${number}`, port: local.port }
    const computer = new SimulatedComputer({
      clock: this.time,
      random: this.random,
      segment,
      local,
      ...(ipv6 && { ipv6: { segment: this.internet, local: ipv6 } }),
      ...(maxSockets !== undefined && { maxSockets }),
    })
    const truth = () => nats.reduceRight((outer: NatProfile, { profile }) => behind(outer, profile), noNat)
    return new SimulatedAgent({
      clock: this.time,
      computer,
      local,
      ...(ipv6 && { ipv6 }),
      servers: [...this.servers],
      crypto: crypto === 'real' ? seededCrypto(seed * 31 + number) : cheapCrypto(seed * 31 + number),
      random: seededRandom(seed * 31 + number + 7919),
      wallAheadMs: (this.random() * 2 - 1) * clockErrorMs,
      ...(known && { known: known === 'truth' ? truth() : known }),
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
