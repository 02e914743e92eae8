// What the agent does by TCP (A7): a port that listens and, where the router opens it, leads here from outside; and
// beside it a port that only calls, whose place outside is learned by STUN. One port cannot do both: the system does not
// let one that listens be shared with connections that are being opened.

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

/** What the operating system does for us. */
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
  /** Null where the router is not to be asked. */
  readonly makeMappedCandidate: () => PortMappedCandidate | null
  readonly hostEndpoints: (sockets: readonly Endpoint[]) => readonly Endpoint[]
  /** A peer calls; see `PacketPortOptions`. */
  readonly onCall: (connection: PacketConnection, packet: Uint8Array) => boolean
  /** Where we may be reached has changed after `explore` had resolved. */
  readonly onNews: () => void
}

/** So long the first request waits for an answer by TCP. */
const patienceMs = 1_000

export class TcpTransport {
  readonly #options: TcpTransportOptions
  readonly #ports = new Map<Family, PacketListener>()
  readonly #mappings = new Map<Family, ReturnType<TcpIo['findMapping']>>()
  #mappedCandidate: PortMappedCandidate | null = null
  #isExploring = false
  #closed = false

  constructor(options: TcpTransportOptions) {
    this.#options = options
  }

  /** Listens, at the same number as UDP where that is free. Never rejects: without a port we can still call. */
  async listen(family: Family, udpPort: number): Promise<void> {
    const { io, clock, onCall } = this.#options
    const open = (port?: number) =>
      io.openPacketListener({ clock, family, ...(port !== undefined && { port }), onFirstPacket: onCall })
    const port = await open(udpPort)
      .catch(() => open())
      .catch(() => null)
    if (!port) return
    if (this.#closed) port.close()
    else this.#ports.set(family, port)
  }

  /** Finds out anew where we are; resolves when that is known, after a second at most. `mayMap`: the router is asked. */
  async explore(servers: readonly Endpoint[], mayMap: boolean): Promise<void> {
    const { clock, crypto, io, makeMappedCandidate } = this.#options
    this.forget()
    if (this.#closed) return
    this.#isExploring = true
    for (const family of this.#ports.keys()) {
      const ofFamily = servers.filter(({ address }) => familyOf(address) === family)
      if (ofFamily.length === 0) continue
      const randomBytes = (length: number) => crypto.randomBytes(length)
      const onChange = () => this.#noteChange()
      this.#mappings.set(family, io.findMapping({ clock, randomBytes, servers: ofFamily, onChange }))
    }
    const port = this.#ports.get(4)?.local.port
    this.#mappedCandidate = mayMap && port !== undefined ? makeMappedCandidate() : null
    const settled = [...this.#mappings.values()].map((mapping) => mapping.settled)
    const known = Promise.all([...settled, port !== undefined && this.#mappedCandidate?.ask(port)])
    await waitAtMost(clock, patienceMs, known)
    this.#isExploring = false
  }

  /** What is known of where we are does not hold any more. Resolves when the router has closed its port. */
  forget(): Promise<void> {
    for (const mapping of this.#mappings.values()) mapping.close()
    this.#mappings.clear()
    const mappedCandidate = this.#mappedCandidate
    this.#mappedCandidate = null
    return mappedCandidate?.close() ?? Promise.resolve()
  }

  /** A server has answered over TCP. */
  get isHeard(): boolean {
    return [...this.#mappings.values()].some(({ endpoint }) => endpoint !== null)
  }

  /** What costs others the least to try comes first. */
  get candidates(): readonly Candidate[] {
    const listening = this.#options.hostEndpoints([...this.#ports.values()].map(({ local }) => local))
    const mapped = this.#mappedCandidate?.candidate
    const calling = [...this.#mappings.values()].flatMap(({ endpoint }) => (endpoint ? [endpoint] : []))
    const few = limits.tcpCandidates - calling.length - (mapped ? 1 : 0)
    return [
      ...listening.slice(0, few).map((endpoint): Candidate => ({ kind: 'host', endpoint })),
      ...(mapped ? [mapped] : []),
      ...calling.map((endpoint): Candidate => ({ kind: 'server-reflexive', endpoint })),
    ]
  }

  /** From the port that calls, if `isSimultaneous`; see `dial`. */
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
    await this.forget()
  }

  #noteChange(): void {
    if (!this.#isExploring && !this.#closed) this.#options.onNews()
  }
}
