// A NAT is mapping × filtering × allocation (RFC 4787). Deliberately the least friendly within its kind:
// mappings and permissions each live only so long after our own last packet, and nothing arriving prolongs them.

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
  /** The subscriber has only one block of so many ports. */
  readonly blockPorts?: number
  /** Of several public addresses (RFC 4787 §4.1): always the same one for one inside address, or any for each mapping. */
  readonly pooling?: 'paired' | 'arbitrary'
  /** Connections of others that take a port, a second on average. */
  readonly foreignPerSecond?: number
  readonly foreignAtOnce?: number
}

type Mapping = {
  readonly key: string
  readonly inside: Endpoint
  readonly outside: Endpoint
  lastOutAt: number
  /** What the filter lets in, by the time we last sent there. */
  readonly permissions: Map<string, number>
}

type Flow = { readonly outside: Endpoint; lastAt: number }

export type NatOptions = {
  readonly clock: Clock
  readonly random: () => number
  readonly kind: NatKind
  /** Public ones, at least one. */
  readonly addresses: readonly string[]
  readonly outside: Segment
  readonly inside: Segment
}

const rateWindowMs = 1_000

export class SimulatedNat implements Member, Gateway {
  readonly #options: NatOptions
  readonly #byKey = new Map<string, Mapping>()
  readonly #byPublic = new Map<string, Mapping>()
  /** Public endpoints that lead inside for everybody, as UPnP opens them. */
  readonly #holes = new Map<string, Endpoint>()
  /** What came in by a hole goes back by it: inside and remote endpoint to the hole. */
  readonly #flows = new Map<string, Flow>()
  readonly #spaces = new Map<string, PortSpace>()
  readonly #paired = new Map<string, string>()
  #madeAt: number[] = []
  /** Mappings that the inside made within one second, at worst. */
  mostNewPerSecond = 0

  constructor(options: NatOptions) {
    this.#options = options
    this.#joinOutside(options.addresses)
    options.inside.gateway = this
  }

  /** The truth about it, but for the lifetime, which hardly anybody can know. */
  get profile(): NatProfile {
    const { mapping, filtering } = this.#options.kind
    const [space] = this.#spaces.values()
    return { mapping, filtering, allocation: space?.allocation ?? { type: 'unknown' } }
  }

  /** The provider gives it other addresses: nothing it had mapped is left. */
  changeAddresses(addresses: readonly string[]): void {
    for (const address of this.#spaces.keys()) this.#options.outside.leave(address)
    for (const map of [this.#spaces, this.#byKey, this.#byPublic, this.#holes, this.#flows, this.#paired])
      map.clear()
    this.#joinOutside(addresses)
  }

  /** It is restarted. */
  forgetMappings(): void {
    this.changeAddresses([...this.#spaces.keys()])
  }

  /** Opens `port` for everybody, as a gateway does that is asked by UPnP or told by its owner. */
  mapPort(inside: Endpoint, port: number): Endpoint {
    const address = this.#spaces.keys().next().value as string
    const hole = { address, port }
    this.#holes.set(formatEndpoint(hole), inside)
    return hole
  }

  /** From the inside out. */
  forward({ from, to, bytes, ttl }: Datagram): void {
    if (ttl !== undefined && ttl <= 1) return
    const source = this.#sourceFor(from, to)
    if (!source) return
    const translated = { from: source, to, bytes, ...(ttl !== undefined && { ttl: ttl - 1 }) }
    // RFC 4787 REQ-9: a hairpinned datagram shows its public source.
    if (!this.#spaces.has(to.address)) this.#options.outside.send(translated)
    else if (this.#options.kind.hairpin) this.receive(translated)
  }

  /** From the outside in. */
  receive({ from, to, bytes }: Datagram): void {
    const hole = this.#holes.get(formatEndpoint(to))
    if (hole) {
      this.#flows.set(`${formatEndpoint(hole)} ${formatEndpoint(from)}`, { outside: to, lastAt: this.#now })
      this.#options.inside.send({ from, to: hole, bytes })
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
      this.#spaces.set(address, new PortSpace({ clock, random, choice, isTaken, ...more }))
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
    const port = this.#spaces.get(address)?.allocate(from.port) ?? null
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
    const addresses = [...this.#spaces.keys()]
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
      return this.#holes.has(text)
    }
    return mapping !== undefined || this.#holes.has(text)
  }

  #forget(mapping: Mapping): void {
    this.#byPublic.delete(formatEndpoint(mapping.outside))
    this.#byKey.delete(mapping.key)
  }

  #countNew(): void {
    const since = this.#now - rateWindowMs
    if (this.#madeAt.length > 0 && (this.#madeAt[0] as number) <= since) {
      this.#madeAt = this.#madeAt.filter((at) => at > since)
    }
    this.#madeAt.push(this.#now)
    this.mostNewPerSecond = Math.max(this.mostNewPerSecond, this.#madeAt.length)
  }

  #permissionFor(remote: Endpoint): string {
    const { filtering } = this.#options.kind
    return filtering === 'EIF' ? '' : filtering === 'ADF' ? remote.address : formatEndpoint(remote)
  }

  #isAlive(lastOutAt: number): boolean {
    return this.#now - lastOutAt < this.#options.kind.lifetimeMs
  }
}
