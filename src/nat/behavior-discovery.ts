// Determines the NAT's behavior once servers have answered, with new sockets: the mapping when it is unclear
// (RFC 5780 §4.3), the filtering (§4.4), and the port allocation (D2). All within about a second, because the
// result goes into the request letter.
//
//   start ──▶ mapping, by the server's other address ──▶ port samples, if each destination has its own port
//       └───▶ filtering: from which of its addresses an answer arrives ─────────────▶ done, or deadline

import { type Endpoint, equalEndpoints } from '../base/endpoint.ts'
import type { Allocation, Filtering, Mapping } from '../base/nat-profile.ts'
import type { Via } from '../base/protocol-machine.ts'
import { FilteringTest, type Rfc5780Server } from './filtering-test.ts'
import { allocationOf, minSamples } from './port-allocation.ts'
import { patientTiming, type StunClient, type StunTransaction, usualRttMs } from './stun-client.ts'

/** A server that answered. `other`: its other address, if credible. */
export type AnsweringServer = {
  readonly server: Endpoint
  readonly other: Endpoint | null
  readonly rttMs: number | null
}

type DiscoveryResult = {
  readonly mapping: Exclude<Mapping, 'none' | 'unknown'> | null
  readonly filtering: Filtering
  /** Null when ports were not sampled. */
  readonly allocation: Allocation | null
}

type BehaviorDiscoveryOptions = {
  readonly stunClient: StunClient
  readonly now: number
  /** At this time it ends with what is known. */
  readonly deadline: number
  /** Not empty; all of one family. */
  readonly servers: readonly AnsweringServer[]
  /** The mapping that follows from the servers' answers and the mapping found here. */
  readonly mappingWith: (found: DiscoveryResult['mapping']) => Mapping
  /** The NAT keeps the main socket's port. Then the ports of other sockets show nothing more. */
  readonly portsKept: boolean
}

/** A few samples may be lost. All are sent at once, so that few other connections fall in between. */
const samplesPerBurst = 14
const maxBursts = 2

export class BehaviorDiscovery {
  readonly #options: BehaviorDiscoveryOptions
  readonly #stunClient: StunClient
  readonly #mappingSocket: Via | null
  /** Requests to a server, to its other address, and to its other address and port; or none. */
  readonly #mappingRequests: readonly StunTransaction[]
  /** Servers not yet used for the filtering test. */
  readonly #rfc5780Servers: Rfc5780Server[]
  #filteringTest: FilteringTest | null = null
  #filtering: Filtering | null = null
  readonly #samples: StunTransaction[] = []
  readonly #sampleSockets: Via[] = []
  #bursts = 0
  #isDone = false

  constructor(options: BehaviorDiscoveryOptions) {
    this.#options = options
    this.#stunClient = options.stunClient
    const { stunClient, now, servers, mappingWith } = options
    this.#rfc5780Servers = servers.flatMap(({ other, ...rest }) => (other ? [{ ...rest, other }] : []))
    const [rfc5780Server] = this.#rfc5780Servers
    if (rfc5780Server && !isEndpointIndependent(mappingWith(null))) {
      const { server, other, rttMs } = rfc5780Server
      const via = stunClient.newSocket()
      const targets = [server, { address: other.address, port: server.port }, other]
      this.#mappingSocket = via
      this.#mappingRequests = targets.map((to) =>
        stunClient.request(now, { to, via, ...patientTiming(rttMs) }),
      )
    } else {
      this.#mappingSocket = null
      this.#mappingRequests = []
    }
    this.advance(now)
  }

  /** Call after any event. True when the discovery is done. */
  advance(now: number): boolean {
    if (this.#isDone) return true
    const isLate = now >= this.#options.deadline
    this.#advanceFiltering(now)
    const isSampled = this.#advanceSamples(now)
    if (isLate || (isSampled && this.#filtering !== null)) this.stop()
    return this.#isDone
  }

  /** Apart from the timeouts of the STUN client. */
  nextTimeout(): number | null {
    return this.#isDone ? null : this.#options.deadline
  }

  get result(): DiscoveryResult {
    return {
      mapping: this.#mapping(),
      filtering: this.#filtering ?? 'unknown',
      allocation: this.#samples.length > 0 ? allocationOf(this.#sampledPorts()) : null,
    }
  }

  stop(): void {
    if (this.#isDone) return
    this.#isDone = true
    this.#filteringTest?.close()
    this.#closeSamples()
    if (this.#mappingSocket !== null) this.#stunClient.close(this.#mappingSocket)
  }

  get #isMappingPending(): boolean {
    return this.#mappingRequests.some(({ state }) => state === 'pending')
  }

  #mapping(): DiscoveryResult['mapping'] {
    const [primary, otherAddress, other] = this.#mappingRequests.map(({ mapped }) => mapped)
    const elsewhere = otherAddress ?? other
    if (!primary || !elsewhere) return null
    if (equalEndpoints(primary, elsewhere)) return 'EIM'
    // Without the third answer the stricter kind is assumed.
    return otherAddress && other && equalEndpoints(otherAddress, other) ? 'ADM' : 'APDM'
  }

  #advanceFiltering(now: number): void {
    while (this.#filtering === null) {
      if (!this.#filteringTest) {
        const rfc5780Server = this.#rfc5780Servers.shift()
        if (rfc5780Server) this.#filteringTest = new FilteringTest(now, this.#stunClient, rfc5780Server)
        else this.#filtering = 'unknown'
        continue
      }
      const isStrict = !this.#isMappingPending && this.#options.mappingWith(this.#mapping()) === 'APDM'
      const otherAnswers = this.#mappingRequests.slice(1).some(({ state }) => state === 'answered')
      const filtering = this.#filteringTest.verdict(isStrict ? { otherAnswers } : null)
      if (filtering === null) return
      this.#filteringTest.close()
      this.#filteringTest = null
      // A server that ignores the requested change shows nothing; the next one may do better.
      if (filtering !== 'unknown') this.#filtering = filtering
    }
  }

  /** Whether sampling is done or not needed. */
  #advanceSamples(now: number): boolean {
    if (this.#isMappingPending || this.#samples.some(({ state }) => state === 'pending')) return false
    this.#closeSamples()
    if (isEndpointIndependent(this.#options.mappingWith(this.#mapping())) || this.#options.portsKept)
      return true
    if (this.#bursts === maxBursts || this.#sampledPorts().length > minSamples) return true
    this.#bursts++
    const rttOf = ({ rttMs }: AnsweringServer) => rttMs ?? usualRttMs
    const nearest = this.#options.servers.reduce((a, b) => (rttOf(b) < rttOf(a) ? b : a))
    for (let i = 0; i < samplesPerBurst; i++) {
      const via = this.#stunClient.newSocket()
      this.#sampleSockets.push(via)
      // Never repeated: a repetition may get a later port of the counter.
      const once = { sendAfterMs: [0], patienceMs: Math.max(300, rttOf(nearest) * 3) }
      this.#samples.push(this.#stunClient.request(now, { to: nearest.server, via, ...once }))
    }
    return false
  }

  /** The sampled ports of the most frequent public address. */
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

/** One port for all destinations, so the allocation of other ports does not matter. */
function isEndpointIndependent(mapping: Mapping): boolean {
  return mapping === 'none' || mapping === 'EIM'
}
