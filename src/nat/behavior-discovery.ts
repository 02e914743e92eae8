// Looks closer at the NAT once servers have answered, with sockets that nobody has seen yet: which mapping where that is
// not clear (RFC 5780 §4.3), which filtering (§4.4), and how ports are chosen (D2). All within a second or so,
// for its result goes into the request letter.
//
//   start ──▶ mapping by the server's other address ──▶ samples of ports, where each destination has its own
//       └───▶ filtering: which of its places may answer ─────────────────────────────▶ over, or deadline

import { type Endpoint, equalEndpoints } from '../base/endpoint.ts'
import type { Allocation, Filtering, Mapping } from '../base/nat-profile.ts'
import type { Via } from '../base/protocol-machine.ts'
import { FilteringTest, type Helper } from './filtering-test.ts'
import { allocationOf, fewestSamples } from './port-allocation.ts'
import { patiently, type Question, type StunClient, usualRttMs } from './stun-client.ts'

/** A server that answered. `other`: where else it says it is, if that may be believed. */
export type Witness = {
  readonly server: Endpoint
  readonly other: Endpoint | null
  readonly rttMs: number | null
}

type SurveyResult = {
  readonly mapping: Exclude<Mapping, 'none' | 'unknown'> | null
  readonly filtering: Filtering
  /** Null when ports were not sampled. */
  readonly allocation: Allocation | null
}

type BehaviorDiscoveryOptions = {
  readonly stunClient: StunClient
  readonly now: number
  /** By then it is over, with what is known. */
  readonly deadline: number
  /** Not empty; of one family. */
  readonly witnesses: readonly Witness[]
  /** The mapping that the witnesses show together with what is found here. */
  readonly mappingWith: (found: SurveyResult['mapping']) => Mapping
  /** The main socket's port was kept: sockets whose own ports we do not know tell nothing more. */
  readonly portsKept: boolean
}

/** A few may be lost. All go out at once, so that hardly any stranger's connection falls in between. */
const samplesAtOnce = 14
const mostVolleys = 2

export class BehaviorDiscovery {
  readonly #options: BehaviorDiscoveryOptions
  readonly #stunClient: StunClient
  readonly #mappingSocket: Via | null
  /** To one server, to its other address, and to both other address and other port; or none. */
  readonly #mappingQuestions: readonly Question[]
  /** Not asked about the filter yet. */
  readonly #helpers: Helper[]
  #filterTest: FilteringTest | null = null
  #filtering: Filtering | null = null
  readonly #samples: Question[] = []
  readonly #sampleSockets: Via[] = []
  #volleys = 0
  #over = false

  constructor(options: BehaviorDiscoveryOptions) {
    this.#options = options
    this.#stunClient = options.stunClient
    const { stunClient, now, witnesses, mappingWith } = options
    this.#helpers = witnesses.flatMap(({ other, ...rest }) => (other ? [{ ...rest, other }] : []))
    const [helper] = this.#helpers
    if (helper && !isEasy(mappingWith(null))) {
      const { server, other, rttMs } = helper
      const via = stunClient.newSocket()
      const places = [server, { address: other.address, port: server.port }, other]
      this.#mappingSocket = via
      this.#mappingQuestions = places.map((to) => stunClient.ask(now, { to, via, ...patiently(rttMs) }))
    } else {
      this.#mappingSocket = null
      this.#mappingQuestions = []
    }
    this.advance(now)
  }

  /** To be called after anything happened; whether it is over. */
  advance(now: number): boolean {
    if (this.#over) return true
    const late = now >= this.#options.deadline
    this.#advanceFilter(now)
    const sampled = this.#advanceSamples(now)
    if (late || (sampled && this.#filtering !== null)) this.stop()
    return this.#over
  }

  /** Beside what whoever asks waits for. */
  nextTimeout(): number | null {
    return this.#over ? null : this.#options.deadline
  }

  get result(): SurveyResult {
    return {
      mapping: this.#mapping(),
      filtering: this.#filtering ?? 'unknown',
      allocation: this.#samples.length > 0 ? allocationOf(this.#sampledPorts()) : null,
    }
  }

  stop(): void {
    if (this.#over) return
    this.#over = true
    this.#filterTest?.close()
    this.#closeSamples()
    if (this.#mappingSocket !== null) this.#stunClient.close(this.#mappingSocket)
  }

  get #mappingIsOpen(): boolean {
    return this.#mappingQuestions.some(({ state }) => state === 'open')
  }

  #mapping(): SurveyResult['mapping'] {
    const [primary, otherAddress, other] = this.#mappingQuestions.map(({ mapped }) => mapped)
    const elsewhere = otherAddress ?? other
    if (!primary || !elsewhere) return null
    if (equalEndpoints(primary, elsewhere)) return 'EIM'
    // Without the third answer: what promises least.
    return otherAddress && other && equalEndpoints(otherAddress, other) ? 'ADM' : 'APDM'
  }

  #advanceFilter(now: number): void {
    while (this.#filtering === null) {
      if (!this.#filterTest) {
        const helper = this.#helpers.shift()
        if (helper) this.#filterTest = new FilteringTest(now, this.#stunClient, helper)
        else this.#filtering = 'unknown'
        continue
      }
      const isStrict = !this.#mappingIsOpen && this.#options.mappingWith(this.#mapping()) === 'APDM'
      const otherAnswers = this.#mappingQuestions.slice(1).some(({ state }) => state === 'answered')
      const filtering = this.#filterTest.verdict(isStrict ? { otherAnswers } : null)
      if (filtering === null) return
      this.#filterTest.close()
      this.#filterTest = null
      // A server that does not do as it is asked tells nothing; perhaps the next one does.
      if (filtering !== 'unknown') this.#filtering = filtering
    }
  }

  /** Whether there is nothing to sample, any more or at all. */
  #advanceSamples(now: number): boolean {
    if (this.#mappingIsOpen || this.#samples.some(({ state }) => state === 'open')) return false
    this.#closeSamples()
    if (isEasy(this.#options.mappingWith(this.#mapping())) || this.#options.portsKept) return true
    if (this.#volleys === mostVolleys || this.#sampledPorts().length > fewestSamples) return true
    this.#volleys++
    const rttOf = ({ rttMs }: Witness) => rttMs ?? usualRttMs
    const nearest = this.#options.witnesses.reduce((a, b) => (rttOf(b) < rttOf(a) ? b : a))
    for (let i = 0; i < samplesAtOnce; i++) {
      const via = this.#stunClient.newSocket()
      this.#sampleSockets.push(via)
      // Never repeated: a repetition may meet a counter that has moved on.
      const once = { sendAfterMs: [0], patienceMs: Math.max(300, rttOf(nearest) * 3) }
      this.#samples.push(this.#stunClient.ask(now, { to: nearest.server, via, ...once }))
    }
    return false
  }

  /** Of the public address seen most, where there are several. */
  #sampledPorts(): number[] {
    const byAddress = new Map<string, number[]>()
    for (const { mapped } of this.#samples) {
      if (mapped) byAddress.set(mapped.address, [...(byAddress.get(mapped.address) ?? []), mapped.port])
    }
    return [...byAddress.values()].reduce((a, b) => (b.length > a.length ? b : a), [])
  }

  #closeSamples(): void {
    for (const via of this.#sampleSockets.splice(0)) this.#stunClient.close(via)
  }
}

/** One port for all destinations, so that it does not matter how others are chosen. */
function isEasy(mapping: Mapping): boolean {
  return mapping === 'none' || mapping === 'EIM'
}
