// A NAT is mapping × filtering × allocation (RFC 4787). Deliberately the least friendly within its kind:
// mappings and permissions each live only so long after our own last packet, and nothing arriving prolongs them.

import type { Clock } from '../../../src/base/clock.ts'
import { type Endpoint, formatEndpoint } from '../../../src/base/endpoint.ts'
import type { Datagram, Gateway, Member, Segment } from './simulated-network.ts'

export type NatKind = {
  readonly mapping: 'EIM' | 'ADM' | 'APDM'
  readonly filtering: 'EIF' | 'ADF' | 'APDF'
  /** A number: ports are handed out in this step. */
  readonly allocation: 'preserving' | number
  readonly lifetimeMs: number
  readonly hairpin: boolean
}

type Mapping = {
  readonly key: string
  readonly inside: Endpoint
  readonly port: number
  lastOutAt: number
  /** What the filter lets in, by the time we last sent there. */
  readonly permissions: Map<string, number>
}

export type NatOptions = {
  readonly clock: Clock
  readonly kind: NatKind
  readonly address: string
  readonly outside: Segment
  readonly inside: Segment
  readonly firstPort: number
}

export class SimulatedNat implements Member, Gateway {
  readonly #options: NatOptions
  readonly #byKey = new Map<string, Mapping>()
  readonly #byPort = new Map<number, Mapping>()
  #nextPort: number

  constructor(options: NatOptions) {
    this.#options = options
    this.#nextPort = options.firstPort
    options.outside.join(options.address, this)
    options.inside.gateway = this
  }

  /** From the inside out. */
  forward({ from, to, bytes }: Datagram): void {
    const { clock, address, outside, kind } = this.#options
    const mapping = this.#mappingFor(from, to)
    mapping.lastOutAt = clock.now()
    mapping.permissions.set(this.#permissionFor(to), clock.now())
    const translated = { from: { address, port: mapping.port }, to, bytes }
    // RFC 4787 REQ-9: a hairpinned datagram shows its public source.
    if (to.address !== address) outside.send(translated)
    else if (kind.hairpin) this.receive(translated)
  }

  /** From the outside in. */
  receive({ from, to, bytes }: Datagram): void {
    const mapping = this.#byPort.get(to.port)
    if (!mapping || !this.#isAlive(mapping.lastOutAt)) return
    const permittedAt = mapping.permissions.get(this.#permissionFor(from))
    if (permittedAt === undefined || !this.#isAlive(permittedAt)) return
    this.#options.inside.send({ from, to: mapping.inside, bytes })
  }

  #mappingFor(from: Endpoint, to: Endpoint): Mapping {
    const { mapping: kind } = this.#options.kind
    const remote = kind === 'EIM' ? '' : kind === 'ADM' ? to.address : formatEndpoint(to)
    const key = `${formatEndpoint(from)} ${remote}`
    const existing = this.#byKey.get(key)
    if (existing && this.#isAlive(existing.lastOutAt)) return existing
    if (existing) this.#byPort.delete(existing.port)
    const port = this.#allocate(from)
    const mapping = { key, inside: from, port, lastOutAt: 0, permissions: new Map<string, number>() }
    this.#byKey.set(key, mapping)
    this.#byPort.set(port, mapping)
    return mapping
  }

  #allocate(from: Endpoint): number {
    const { allocation } = this.#options.kind
    if (allocation === 'preserving') {
      let port = from.port
      while (this.#isTaken(port)) port = port === 65535 ? 1024 : port + 1
      return port
    }
    do {
      this.#nextPort += allocation
      if (this.#nextPort > 65535 || this.#nextPort < 1024) this.#nextPort = this.#options.firstPort
    } while (this.#isTaken(this.#nextPort))
    return this.#nextPort
  }

  #isTaken(port: number): boolean {
    const mapping = this.#byPort.get(port)
    if (mapping && !this.#isAlive(mapping.lastOutAt)) {
      this.#byPort.delete(port)
      this.#byKey.delete(mapping.key)
      return false
    }
    return mapping !== undefined
  }

  #permissionFor(remote: Endpoint): string {
    const { filtering } = this.#options.kind
    return filtering === 'EIF' ? '' : filtering === 'ADF' ? remote.address : formatEndpoint(remote)
  }

  #isAlive(lastOutAt: number): boolean {
    return this.#options.clock.now() - lastOutAt < this.#options.kind.lifetimeMs
  }
}
