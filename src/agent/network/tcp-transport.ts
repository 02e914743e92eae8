// The TCP ports of the agent (A7). One port listens, and the router may map it. Another port only dials, and STUN finds
// its public endpoint. One port cannot do both: the operating system does not let outgoing connections share the port of
// a listener.

import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import { type Candidate, type Endpoint, type Family, familyOf } from '../../base/endpoint.ts'
import { waitAtMost } from '../../base/grace-time.ts'
import { limits } from '../../letter/limits.ts'
import type { PacketConnection } from '../../net/tcp/packet-connection.ts'
import { openPacketListener, type PacketListener } from '../../net/tcp/packet-listener.ts'
import { dial } from '../../net/tcp/tcp-dial.ts'
import { TcpNatMapping, type TcpNatMappingOptions } from '../../net/tcp/tcp-nat-mapping.ts'
import type { PortMappedCandidate } from './port-mapped-candidate.ts'

/** The functions of the operating system that TCP needs. */
export type TcpIo = {
  readonly openPacketListener: typeof openPacketListener
  readonly dial: typeof dial
  readonly findMapping: (
    options: TcpNatMappingOptions,
  ) => Pick<TcpNatMapping, 'endpoint' | 'port' | 'settled' | 'close'>
}

export const systemTcp: TcpIo = {
  openPacketListener,
  dial,
  findMapping: (options) => new TcpNatMapping(options),
}

export type TcpTransportOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly io: TcpIo
  /** Returns null when port mapping is off. */
  readonly makeMappedCandidate: () => PortMappedCandidate | null
  readonly hostEndpoints: (sockets: readonly Endpoint[]) => readonly Endpoint[]
  /** A connection comes in; see `onFirstPacket` of a packet listener. */
  readonly onConnection: (connection: PacketConnection, packet: Uint8Array) => boolean
  /** The candidates have changed since `discover` resolved. */
  readonly onCandidatesChange: () => void
}

/** The first request waits this long for an answer over TCP. */
const graceMs = 1_000

export class TcpTransport {
  readonly #options: TcpTransportOptions
  readonly #ports = new Map<Family, PacketListener>()
  readonly #mappings = new Map<Family, ReturnType<TcpIo['findMapping']>>()
  #mappedCandidate: PortMappedCandidate | null = null
  #isDiscovering = false
  #closed = false

  constructor(options: TcpTransportOptions) {
    this.#options = options
  }

  /** Listens on the port number of UDP if it is free, otherwise on any. Never rejects, since we can dial without it. */
  async listen(family: Family, udpPort: number): Promise<void> {
    const { io, clock, onConnection } = this.#options
    const open = (port?: number) =>
      io.openPacketListener({
        clock,
        family,
        ...(port !== undefined && { port }),
        onFirstPacket: onConnection,
      })
    const port = await open(udpPort)
      .catch(() => open())
      .catch(() => null)
    if (!port) return
    if (this.#closed) port.close()
    else this.#ports.set(family, port)
  }

  /** Finds our TCP candidates again. Resolves when they are known, after one second at most. `usesRouter`: also ask the
   *  router for a port mapping. */
  async discover(servers: readonly Endpoint[], usesRouter: boolean): Promise<void> {
    const { clock, crypto, io, makeMappedCandidate } = this.#options
    this.reset()
    if (this.#closed) return
    this.#isDiscovering = true
    for (const family of this.#ports.keys()) {
      const ofFamily = servers.filter(({ address }) => familyOf(address) === family)
      if (ofFamily.length === 0) continue
      const randomBytes = (length: number) => crypto.randomBytes(length)
      const onChange = () => this.#handleChange()
      this.#mappings.set(family, io.findMapping({ clock, randomBytes, servers: ofFamily, onChange }))
    }
    const port = this.#ports.get(4)?.local.port
    this.#mappedCandidate = usesRouter && port !== undefined ? makeMappedCandidate() : null
    const settled = [...this.#mappings.values()].map((mapping) => mapping.settled)
    const discovered = Promise.all([
      ...settled,
      port !== undefined && this.#mappedCandidate?.requestMapping(port),
    ])
    await waitAtMost(clock, graceMs, discovered)
    this.#isDiscovering = false
  }

  /** Drops the candidates. Resolves when the router has removed its port mapping. */
  reset(): Promise<void> {
    for (const mapping of this.#mappings.values()) mapping.close()
    this.#mappings.clear()
    const mappedCandidate = this.#mappedCandidate
    this.#mappedCandidate = null
    return mappedCandidate?.close() ?? Promise.resolve()
  }

  /** True when a STUN server has answered over TCP. */
  get hasAnswer(): boolean {
    return [...this.#mappings.values()].some(({ endpoint }) => endpoint !== null)
  }

  /** The ones that are cheapest for peers to try come first. */
  get candidates(): readonly Candidate[] {
    const hostEndpoints = this.#options.hostEndpoints([...this.#ports.values()].map(({ local }) => local))
    const mapped = this.#mappedCandidate?.candidate
    const dialled = [...this.#mappings.values()].flatMap(({ endpoint }) => (endpoint ? [endpoint] : []))
    const maxHosts = limits.tcpCandidates - dialled.length - (mapped ? 1 : 0)
    return [
      ...hostEndpoints.slice(0, maxHosts).map((endpoint): Candidate => ({ kind: 'host', endpoint })),
      ...(mapped ? [mapped] : []),
      ...dialled.map((endpoint): Candidate => ({ kind: 'server-reflexive', endpoint })),
    ]
  }

  /** Dials from the port that STUN has mapped if `isSimultaneous`; see `dial`. */
  dial(options: Parameters<typeof dial>[0], isSimultaneous: boolean): () => void {
    const localPort = this.#mappings.get(familyOf(options.to.address))?.port ?? null
    return this.#options.io.dial({
      ...options,
      ...(isSimultaneous && localPort !== null && { localPort }),
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const port of this.#ports.values()) port.close()
    this.#ports.clear()
    await this.reset()
  }

  #handleChange(): void {
    if (!this.#isDiscovering && !this.#closed) this.#options.onCandidatesChange()
  }
}
