// The agent's sockets, for UDP one a family: they find out where they can be reached, keep the NAT's mappings open
// while letters travel (A1, B4, C4), and tell STUN's packets from those of peers. When the computer comes into
// another network the sockets stay, since they are bound to no address, and everything is found out anew.

import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import {
  addressScope,
  type Candidate,
  type Endpoint,
  equalEndpoints,
  type Family,
  familyOf,
} from '../../base/endpoint.ts'
import type { NatProfile } from '../../base/nat-profile.ts'
import { limits } from '../../letter/limits.ts'
import type { NatView } from '../../nat/nat-prober.ts'
import { firstByteAboveStun } from '../../nat/stun-message.ts'
import { NetworkMonitor } from '../../net/network-monitor.ts'
import type { PortMapping } from '../../net/portmap/port-mapper.ts'
import { SocketSet, type SocketSetOptions } from '../../net/udp/socket-set.ts'
import { AddressDiscovery, emptyView } from './address-discovery.ts'
import { MainSockets } from './main-sockets.ts'
import type { NetworkIo } from './network-io.ts'
import { PortMappedCandidate } from './port-mapped-candidate.ts'
import { TcpTransport, type TcpTransportOptions } from './tcp-transport.ts'

type NetworkOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly io: NetworkIo
  /** 0 for any. */
  readonly port: number
  readonly stunServers: readonly string[]
  readonly keepaliveMs: number
  /** Entered by hand (D9): counts more than what is found out. */
  readonly knownNat?: Partial<NatProfile>
  /** Whether the router is asked to open a port. */
  readonly portMapping: boolean
  /** The first verdict, every later one that differs, and the first one in another network. */
  readonly onView: (view: NatView, first: boolean) => void
  /** We are in another network, or have slept: what is known may not hold any more; `onView` follows. */
  readonly onMoved?: () => void
  /** Whatever is not STUN. */
  readonly onPacket: (bytes: Uint8Array, from: Endpoint) => void
  /** A peer calls by TCP; see `PacketPortOptions`. No TCP when left out. */
  readonly onCall?: TcpTransportOptions['onCall']
  /** The router opened or closed a port after `open` had resolved. */
  readonly onNews: () => void
  /** One sentence: a server whose name could not be resolved, or what the router did. */
  readonly onNotice: (notice: string) => void
}

/** When TCP was answered, so long is waited for any answer by UDP before the first request. */
const udpPatienceMs = 1_000

export class Network {
  readonly #options: NetworkOptions
  #addressDiscovery: AddressDiscovery
  /** Of the network before, until more is known. */
  #viewBefore: NatView = emptyView
  readonly #sockets: MainSockets
  #mappedCandidate: PortMappedCandidate | null
  /** Null where TCP is not wanted. */
  readonly tcp: TcpTransport | null
  #hasHeardStun = false
  /** The first request did not wait for the verdict. */
  #wentAhead = false
  #cancelPatience: () => void = () => {}
  /** Of networks before, taking their ports back. */
  readonly #closings = new Set<Promise<void>>()
  #networkMonitor: NetworkMonitor | null = null
  /** Counts the networks we were in. */
  #generation = 0
  #servers: readonly Endpoint[] = []
  #closed = false

  constructor(options: NetworkOptions) {
    this.#options = options
    this.#sockets = new MainSockets({
      ...options,
      onDatagram: (bytes, from) => this.#receive(bytes, from),
    })
    this.#mappedCandidate = this.#makeMappedCandidate()
    this.#addressDiscovery = this.#makeAddressDiscovery()
    this.tcp = this.#makeTcp()
  }

  /** Resolves when the first verdict on the NAT is there, a few seconds at most, or when closed. */
  async open(): Promise<void> {
    const { io, clock } = this.#options
    await this.#sockets.open()
    if (this.#closed) return
    await Promise.all(
      this.#sockets.families.map((family) => this.tcp?.listen(family, this.#sockets.portOf(family) ?? 0)),
    )
    if (this.#closed) return
    if (io.lookMs !== undefined) {
      this.#networkMonitor = new NetworkMonitor({
        clock,
        pollMs: io.lookMs,
        addresses: () => this.#allAddresses(),
        onChange: () => this.#move(),
        onWake: () => this.#move(),
      })
    }
    await this.#explore()
  }

  /** Everything is found out anew; what was known holds until then. */
  #move(): void {
    this.#viewBefore = this.view
    this.#generation++
    this.#addressDiscovery.stop()
    this.#addressDiscovery = this.#makeAddressDiscovery()
    this.#hasHeardStun = false
    this.#cancelPatience()
    for (const old of [this.#mappedCandidate?.close(), this.tcp?.forget()]) {
      if (!old) continue
      const closing = old.catch(() => {})
      this.#closings.add(closing)
      void closing.then(() => this.#closings.delete(closing))
    }
    this.#mappedCandidate = this.#makeMappedCandidate()
    void this.#sockets.openSix().then(() => this.#explore())
    this.#options.onMoved?.()
  }

  /** Asks STUN servers and router where we are. */
  async #explore(): Promise<void> {
    const generation = this.#generation
    const isOver = () => this.#closed || generation !== this.#generation
    const { io, stunServers, onNotice } = this.#options
    if (isOver()) return
    const { families } = this.#sockets
    const { endpoints, failures } = await io.resolveServers(stunServers, { families })
    if (isOver()) return
    for (const { server, reason } of failures)
      onNotice(`The STUN server ${server} cannot be asked: ${reason}`)
    // In a network that has just come up names may not be known yet.
    if (endpoints.length > 0 || generation === 0) this.#servers = endpoints
    const isAtHome =
      this.#servers.length > 0 && this.#servers.every(({ address }) => addressScope(address) === 'loopback')
    // Not when all the world is this computer, as in a demonstration.
    const mayMap = !isAtHome
    const byTcp = this.tcp?.explore(this.#servers, mayMap)
    const byUdp = this.#addressDiscovery.start(
      families.map((family) => ({
        family,
        servers: ofFamily(this.#servers, family),
        localEndpoints: ofFamily(this.#sockets.hostEndpoints, family),
      })),
    )
    const byEither = byTcp ? Promise.race([byUdp, this.#untilSilent(byTcp)]) : byUdp
    await Promise.all([byEither, byTcp, mayMap && this.#askRouter()])
  }

  /** Resolves when servers have answered by TCP and none has by UDP, long after it should have. */
  #untilSilent(byTcp: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      this.#cancelPatience = this.#options.clock.after(udpPatienceMs, async () => {
        await byTcp
        if (!this.tcp?.isHeard || this.#hasHeardStun || this.#addressDiscovery.isSettled) return
        this.#wentAhead = true
        resolve()
      })
    })
  }

  #makeAddressDiscovery(): AddressDiscovery {
    const { clock, crypto, keepaliveMs, knownNat, onView } = this.#options
    const isFirstNetwork = this.#generation === 0
    return new AddressDiscovery({
      clock,
      crypto,
      keepaliveMs,
      ...(knownNat && { known: knownNat }),
      sockets: (onDatagram, onFailure) => this.sockets(onDatagram, onFailure),
      // What came after the first request had to go is news to the host.
      onView: (view, first) =>
        onView(view, first && isFirstNetwork && !(this.#wentAhead && view.observations.length > 0)),
    })
  }

  #makeMappedCandidate(): PortMappedCandidate | null {
    const { clock, crypto, io, portMapping, onNews, onNotice } = this.#options
    const { mapPort } = io
    return portMapping && mapPort
      ? new PortMappedCandidate({ clock, crypto, mapPort, onNews, onNotice })
      : null
  }

  #makeTcp(): TcpTransport | null {
    const { clock, crypto, io, portMapping, onCall } = this.#options
    const { tcp, mapPort, hostEndpoints } = io
    if (!tcp || !onCall) return null
    // Where UDP passes it can wait for the next letter.
    const onNews = () => {
      if (this.udpIsSilent) this.#options.onNews()
    }
    // People are told of the port for UDP, which has the same number.
    const options = { clock, crypto, onNews, onNotice: () => {}, protocol: 'TCP' } as const
    const makeMappedCandidate = () =>
      portMapping && mapPort ? new PortMappedCandidate({ ...options, mapPort }) : null
    return new TcpTransport({ clock, crypto, io: tcp, makeMappedCandidate, hostEndpoints, onCall, onNews })
  }

  async #askRouter(): Promise<void> {
    const port = this.#sockets.portOf(4)
    if (port !== null) await this.#mappedCandidate?.ask(port)
  }

  /** Of both families, also of one that has no socket yet. */
  #allAddresses(): readonly string[] {
    const everywhere = [
      { address: '0.0.0.0', port: 1 },
      { address: '::', port: 1 },
    ]
    return this.#options.io.hostEndpoints(everywhere).map(({ address }) => address)
  }

  /** No STUN server answers by UDP, though there are some. */
  get udpIsSilent(): boolean {
    return this.#servers.length > 0 && this.view.observations.length === 0
  }

  get tcpCandidates(): readonly Candidate[] {
    return this.tcp?.candidates ?? []
  }

  get nat(): NatProfile {
    return this.view.profile
  }

  get view(): NatView {
    return this.#generation === 0 || this.#addressDiscovery.isSettled
      ? this.#addressDiscovery.view
      : this.#viewBefore
  }

  /** The port that the router opened, if it did. */
  get portMapping(): PortMapping | null {
    return this.#mappedCandidate?.mapping ?? null
  }

  /** STUN servers that can be asked; empty until their names are resolved. */
  get servers(): readonly Endpoint[] {
    return this.#servers
  }

  /** Whether loopback is all there is: then, and only then, peers on loopback are tried. */
  get onLoopback(): boolean {
    return this.candidates.every(({ endpoint }) => addressScope(endpoint.address) === 'loopback')
  }

  /** Where we may be reached, as of now. */
  get candidates(): readonly Candidate[] {
    const host = this.#sockets.hostEndpoints
    const reflexive = this.view.publicEndpoints
    const mapped = this.#mappedCandidate?.candidate
    return [
      ...(mapped ? [mapped] : []),
      ...host.map((endpoint): Candidate => ({ kind: 'host', endpoint })),
      ...reflexive.map((endpoint): Candidate => ({ kind: 'server-reflexive', endpoint })),
    ]
      .filter(
        ({ kind, endpoint }, index, all) =>
          all.findIndex((other) => other.kind === kind && equalEndpoints(other.endpoint, endpoint)) === index,
      )
      .slice(0, limits.candidates)
  }

  /** By the main socket of the family; lost when there is none. */
  send(bytes: Uint8Array, to: Endpoint, ttl?: number): void {
    this.#sockets.send(bytes, to, ttl)
  }

  /**
   * Sockets for one machine: 0 is the main one, others are opened when first used. `onDatagram` hears everything that
   * comes by the others, STUN too; what comes by the main one goes to `onPacket` as ever. Who asked closes them.
   */
  sockets(onDatagram: SocketSetOptions['onDatagram'], onFailure: SocketSetOptions['onFailure']): SocketSet {
    return new SocketSet({
      open: this.#options.io.openUdpSocket,
      sendMain: (bytes, to, ttl) => this.send(bytes, to, ttl),
      onDatagram,
      onFailure,
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#networkMonitor?.stop()
    this.#addressDiscovery.stop()
    this.#cancelPatience()
    await Promise.allSettled([...this.#closings, this.#mappedCandidate?.close(), this.tcp?.close()])
    await this.#sockets.close()
  }

  #receive(bytes: Uint8Array, from: Endpoint): void {
    const first = bytes[0]
    if (first === undefined) return
    if (first < firstByteAboveStun) {
      this.#hasHeardStun = true
      this.#addressDiscovery.receive(bytes, from)
    } else this.#options.onPacket(bytes, from)
  }
}

function ofFamily(endpoints: readonly Endpoint[], family: Family): Endpoint[] {
  return endpoints.filter(({ address }) => familyOf(address) === family)
}
