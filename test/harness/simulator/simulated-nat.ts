// A simulated NAT: mapping × filtering × allocation (RFC 4787). It is the strictest of its kind: mappings and
// permissions expire a fixed time after our own last packet, and incoming packets do not extend them.

import type { Clock } from '../../../src/base/clock.ts'
import { type Endpoint, formatEndpoint } from '../../../src/base/endpoint.ts'
import type { NatProfile } from '../../../src/base/nat-profile.ts'
import { type PortChoice, PortSpace } from './port-space.ts'
import type { Datagram, Gateway, Member, Segment } from './simulated-network.ts'

export type NatKind = {
  readonly mapping: 'EIM' | 'ADM' | 'APDM'
  readonly filtering: 'EIF' | 'ADF' | 'APDF'
  readonly allocation: PortChoice
  readonly lifetimeMs: number
  readonly hairpin: boolean
  /** The subscriber has only one block of this many ports. */
  readonly blockPorts?: number
  /** With several public addresses (RFC 4787 §4.1): one for each inside address, or any for each mapping. */
  readonly pooling?: 'paired' | 'arbitrary'
  /** Average number of other people's connections per second; each takes a port. */
  readonly foreignPerSecond?: number
  readonly foreignAtOnce?: number
}

type Mapping = {
  readonly key: string
  readonly inside: Endpoint
  readonly outside: Endpoint
  lastOutAt: number
  /** Permitted remote endpoints, with the time of our last packet to each. */
  readonly permissions: Map<string, number>
}

type Flow = { readonly outside: Endpoint; lastAt: number }

export type NatOptions = {
  readonly clock: Clock
  readonly random: () => number
  readonly kind: NatKind
  /** Public addresses, at least one. */
  readonly addresses: readonly string[]
  readonly outside: Segment
  readonly inside: Segment
}

const rateWindowMs = 1_000

export class SimulatedNat implements Member, Gateway {
  readonly #options: NatOptions
  readonly #byKey = new Map<string, Mapping>()
  readonly #byPublic = new Map<string, Mapping>()
  /** Public endpoints that anyone can reach, as opened by UPnP, and their inside endpoints. */
  readonly #mappedPorts = new Map<string, Endpoint>()
  /** Flows that came in through a mapped port: answers leave through the same port. */
  readonly #flows = new Map<string, Flow>()
  readonly #portSpaces = new Map<string, PortSpace>()
  readonly #paired = new Map<string, string>()
  #createdAt: number[] = []
  /** Highest number of new mappings within one second. */
  maxNewPerSecond = 0

  constructor(options: NatOptions) {
    this.#options = options
    this.#joinOutside(options.addresses)
    options.inside.gateway = this
  }

  /** The true profile, except the lifetime, which agents can hardly know. */
  get profile(): NatProfile {
    const { mapping, filtering } = this.#options.kind
    const [space] = this.#portSpaces.values()
    return { mapping, filtering, allocation: space?.allocation ?? { type: 'unknown' } }
  }

  /** The provider assigns other addresses: all mappings are lost. */
  changeAddresses(addresses: readonly string[]): void {
    for (const address of this.#portSpaces.keys()) this.#options.outside.leave(address)
    for (const map of [
      this.#portSpaces,
      this.#byKey,
      this.#byPublic,
      this.#mappedPorts,
      this.#flows,
      this.#paired,
    ])
      map.clear()
    this.#joinOutside(addresses)
  }

  /** The NAT restarts. */
  forgetMappings(): void {
    this.changeAddresses([...this.#portSpaces.keys()])
  }

  /** Opens `port` for everybody, as a router does on a UPnP request or by configuration. */
  mapPort(inside: Endpoint, port: number): Endpoint {
    const address = this.#portSpaces.keys().next().value as string
    const mappedPort = { address, port }
    this.#mappedPorts.set(formatEndpoint(mappedPort), inside)
    return mappedPort
  }

  /** Forwards a datagram from the inside. */
  forward({ from, to, bytes, ttl }: Datagram): void {
    if (ttl !== undefined && ttl <= 1) return
    const source = this.#sourceFor(from, to)
    if (!source) return
    const translated = { from: source, to, bytes, ...(ttl !== undefined && { ttl: ttl - 1 }) }
    // A hairpinned datagram has its public source (RFC 4787 REQ-9).
    if (!this.#portSpaces.has(to.address)) this.#options.outside.send(translated)
    else if (this.#options.kind.hairpin) this.receive(translated)
  }

  /** Handles a datagram from the outside. */
  receive({ from, to, bytes }: Datagram): void {
    const mappedPort = this.#mappedPorts.get(formatEndpoint(to))
    if (mappedPort) {
      this.#flows.set(`${formatEndpoint(mappedPort)} ${formatEndpoint(from)}`, {
        outside: to,
        lastAt: this.#now,
      })
      this.#options.inside.send({ from, to: mappedPort, bytes })
      return
    }
    const mapping = this.#byPublic.get(formatEndpoint(to))
    if (!mapping || !this.#isAlive(mapping.lastOutAt)) return
    const permittedAt = mapping.permissions.get(this.#permissionFor(from))
    if (permittedAt === undefined || !this.#isAlive(permittedAt)) return
    this.#options.inside.send({ from, to: mapping.inside, bytes })
  }

  get #now(): number {
    return this.#options.clock.now()
  }

  #joinOutside(addresses: readonly string[]): void {
    const { clock, random, kind, outside } = this.#options
    const { allocation: choice, blockPorts, foreignPerSecond, foreignAtOnce } = kind
    for (const address of addresses) {
      outside.join(address, this)
      const isTaken = (port: number) => this.#isTaken({ address, port })
      const more = {
        ...(blockPorts && { blockPorts }),
        ...(foreignPerSecond && { foreignPerSecond }),
        ...(foreignAtOnce && { foreignAtOnce }),
      }
      this.#portSpaces.set(address, new PortSpace({ clock, random, choice, isTaken, ...more }))
    }
  }

  /** Null when no port is free. */
  #sourceFor(from: Endpoint, to: Endpoint): Endpoint | null {
    const flow = this.#flows.get(`${formatEndpoint(from)} ${formatEndpoint(to)}`)
    if (flow && this.#isAlive(flow.lastAt)) {
      flow.lastAt = this.#now
      return flow.outside
    }
    const mapping = this.#mappingFor(from, to)
    if (!mapping) return null
    mapping.lastOutAt = this.#now
    mapping.permissions.set(this.#permissionFor(to), this.#now)
    return mapping.outside
  }

  #mappingFor(from: Endpoint, to: Endpoint): Mapping | null {
    const { mapping: kind } = this.#options.kind
    const remote = kind === 'EIM' ? '' : kind === 'ADM' ? to.address : formatEndpoint(to)
    const key = `${formatEndpoint(from)} ${remote}`
    const existing = this.#byKey.get(key)
    if (existing && this.#isAlive(existing.lastOutAt)) return existing
    if (existing) this.#forget(existing)
    const address = this.#addressFor(from)
    const port = this.#portSpaces.get(address)?.allocate(from.port) ?? null
    if (port === null) return null
    const outside = { address, port }
    const mapping = {
      key,
      inside: from,
      outside,
      lastOutAt: this.#now,
      permissions: new Map<string, number>(),
    }
    this.#byKey.set(key, mapping)
    this.#byPublic.set(formatEndpoint(outside), mapping)
    this.#countNew()
    return mapping
  }

  #addressFor(from: Endpoint): string {
    const addresses = [...this.#portSpaces.keys()]
    const draw = () => addresses[Math.floor(this.#options.random() * addresses.length)] as string
    if (addresses.length === 1 || this.#options.kind.pooling === 'arbitrary') return draw()
    const paired = this.#paired.get(from.address) ?? draw()
    this.#paired.set(from.address, paired)
    return paired
  }

  #isTaken(outside: Endpoint): boolean {
    const text = formatEndpoint(outside)
    const mapping = this.#byPublic.get(text)
    if (mapping && !this.#isAlive(mapping.lastOutAt)) {
      this.#forget(mapping)
      return this.#mappedPorts.has(text)
    }
    return mapping !== undefined || this.#mappedPorts.has(text)
  }

  #forget(mapping: Mapping): void {
    this.#byPublic.delete(formatEndpoint(mapping.outside))
    this.#byKey.delete(mapping.key)
  }

  #countNew(): void {
    const since = this.#now - rateWindowMs
    if (this.#createdAt.length > 0 && (this.#createdAt[0] as number) <= since) {
      this.#createdAt = this.#createdAt.filter((at) => at > since)
    }
    this.#createdAt.push(this.#now)
    this.maxNewPerSecond = Math.max(this.maxNewPerSecond, this.#createdAt.length)
  }

  #permissionFor(remote: Endpoint): string {
    const { filtering } = this.#options.kind
    return filtering === 'EIF' ? '' : filtering === 'ADF' ? remote.address : formatEndpoint(remote)
  }

  #isAlive(lastOutAt: number): boolean {
    return this.#now - lastOutAt < this.#options.kind.lifetimeMs
  }
}
