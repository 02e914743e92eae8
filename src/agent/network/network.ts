// The sockets of the agent. It finds their candidates, keeps the NAT mappings open while letters are in transit
// (A1, B4, C4), and separates STUN packets from those of peers. After a change of network the sockets stay, since they
// are bound to the wildcard address, and all discovery starts again.

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
  /** 0 means any. */
  readonly port: number
  readonly stunServers: readonly string[]
  readonly keepaliveMs: number
  /** Set by the user (D9). It overrides what the probes find. */
  readonly knownNat?: Partial<NatProfile>
  /** Whether to ask the router for a port mapping. */
  readonly portMapping: boolean
  /** Called with the first view, every later one that differs, and the first one in another network. */
  readonly onView: (view: NatView, first: boolean) => void
  /** The computer changed its network or slept, so the view may be outdated. `onView` follows. */
  readonly onNetworkChange?: () => void
  /** A packet that is not STUN. */
  readonly onPacket: (bytes: Uint8Array, from: Endpoint) => void
  /** A TCP connection comes in; see `onFirstPacket` of a packet listener. Without it there is no TCP. */
  readonly onConnection?: TcpTransportOptions['onConnection']
  /** Our candidates have changed since `open` resolved, because of the router or of TCP. */
  readonly onCandidatesChange: () => void
  /** One sentence: a server name that could not be resolved, or a port that the router opened or closed. */
  readonly onNotice: (notice: string) => void
}

/** When a STUN server has answered over TCP, the first request waits this long for an answer over UDP. */
const udpGraceMs = 1_000

export class Network {
  readonly #options: NetworkOptions
  #addressDiscovery: AddressDiscovery
  /** The view of the previous network, used until the first view of the new one. */
  #previousView: NatView = emptyView
  readonly #sockets: MainSockets
  #mappedCandidate: PortMappedCandidate | null
  /** Null when TCP is off. */
  readonly tcp: TcpTransport | null
  #hasStunAnswer = false
  /** The first request did not wait for the first view. */
  #hasSkippedWait = false
  #cancelUdpWait: () => void = () => {}
  /** Port mappings of previous networks that are being removed. */
  readonly #pendingCloses = new Set<Promise<void>>()
  #networkMonitor: NetworkMonitor | null = null
  /** The number of network changes so far. */
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

  /** Resolves with the first view, after a few seconds at most, or when closed. */
  async open(): Promise<void> {
    const { io, clock } = this.#options
    await this.#sockets.open()
    if (this.#closed) return
    await Promise.all(
      this.#sockets.families.map((family) => this.tcp?.listen(family, this.#sockets.portOf(family) ?? 0)),
    )
    if (this.#closed) return
    if (io.addressCheckMs !== undefined) {
      this.#networkMonitor = new NetworkMonitor({
        clock,
        pollMs: io.addressCheckMs,
        addresses: () => this.#allAddresses(),
        onChange: () => this.#handleNetworkChange(),
        onWake: () => this.#handleNetworkChange(),
      })
    }
    await this.#discover()
  }

  /** Starts all discovery again. The previous view stays in use until there is a new one. */
  #handleNetworkChange(): void {
    this.#previousView = this.view
    this.#generation++
    this.#addressDiscovery.stop()
    this.#addressDiscovery = this.#makeAddressDiscovery()
    this.#hasStunAnswer = false
    this.#cancelUdpWait()
    for (const old of [this.#mappedCandidate?.close(), this.tcp?.reset()]) {
      if (!old) continue
      const closing = old.catch(() => {})
      this.#pendingCloses.add(closing)
      void closing.then(() => this.#pendingCloses.delete(closing))
    }
    this.#mappedCandidate = this.#makeMappedCandidate()
    void this.#sockets.openIpv6().then(() => this.#discover())
    this.#options.onNetworkChange?.()
  }

  /** Asks STUN servers and the router for our public endpoints. */
  async #discover(): Promise<void> {
    const generation = this.#generation
    const isStale = () => this.#closed || generation !== this.#generation
    const { io, stunServers, onNotice } = this.#options
    if (isStale()) return
    const { families } = this.#sockets
    const { endpoints, failures } = await io.resolveServers(stunServers, { families })
    if (isStale()) return
    for (const { server, reason } of failures)
      onNotice(`The STUN server ${server} cannot be asked: ${reason}`)
    // In a network that has just come up, name lookup may fail. Then keep the previous servers.
    if (endpoints.length > 0 || generation === 0) this.#servers = endpoints
    const isLoopbackOnly =
      this.#servers.length > 0 && this.#servers.every(({ address }) => addressScope(address) === 'loopback')
    // In a demonstration all servers are on this computer. Then the router is not needed.
    const usesRouter = !isLoopbackOnly
    const byTcp = this.tcp?.discover(this.#servers, usesRouter)
    const byUdp = this.#addressDiscovery.start(
      families.map((family) => ({
        family,
        servers: ofFamily(this.#servers, family),
        localEndpoints: ofFamily(this.#sockets.hostEndpoints, family),
      })),
    )
    const byEither = byTcp ? Promise.race([byUdp, this.#untilUdpIsSilent(byTcp)]) : byUdp
    await Promise.all([byEither, byTcp, usesRouter && this.#requestPortMapping()])
  }

  /** Resolves when a server has answered over TCP and none over UDP, although UDP had enough time. */
  #untilUdpIsSilent(byTcp: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      this.#cancelUdpWait = this.#options.clock.after(udpGraceMs, async () => {
        await byTcp
        if (!this.tcp?.hasAnswer || this.#hasStunAnswer || this.#addressDiscovery.isSettled) return
        this.#hasSkippedWait = true
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
      // The host does not know a view that came after the first request.
      onView: (view, first) =>
        onView(view, first && isFirstNetwork && !(this.#hasSkippedWait && view.observations.length > 0)),
    })
  }

  #makeMappedCandidate(): PortMappedCandidate | null {
    const { clock, crypto, io, portMapping, onCandidatesChange, onNotice } = this.#options
    const { mapPort } = io
    return portMapping && mapPort
      ? new PortMappedCandidate({ clock, crypto, mapPort, onCandidatesChange, onNotice })
      : null
  }

  #makeTcp(): TcpTransport | null {
    const { clock, crypto, io, portMapping, onConnection } = this.#options
    const { tcp, mapPort, hostEndpoints } = io
    if (!tcp || !onConnection) return null
    // Where UDP gets through, a change of TCP candidates can wait for the next letter.
    const onCandidatesChange = () => {
      if (this.udpIsSilent) this.#options.onCandidatesChange()
    }
    // The notice for UDP is enough, since both ports have the same number.
    const options = { clock, crypto, onCandidatesChange, onNotice: () => {}, protocol: 'TCP' } as const
    const makeMappedCandidate = () =>
      portMapping && mapPort ? new PortMappedCandidate({ ...options, mapPort }) : null
    return new TcpTransport({
      clock,
      crypto,
      io: tcp,
      makeMappedCandidate,
      hostEndpoints,
      onConnection,
      onCandidatesChange,
    })
  }

  async #requestPortMapping(): Promise<void> {
    const port = this.#sockets.portOf(4)
    if (port !== null) await this.#mappedCandidate?.requestMapping(port)
  }

  /** Addresses of both families, also of a family that has no socket yet. */
  #allAddresses(): readonly string[] {
    const everywhere = [
      { address: '0.0.0.0', port: 1 },
      { address: '::', port: 1 },
    ]
    return this.#options.io.hostEndpoints(everywhere).map(({ address }) => address)
  }

  /** There are STUN servers, but none answers over UDP. */
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
      : this.#previousView
  }

  /** Null when the router has opened no port. */
  get portMapping(): PortMapping | null {
    return this.#mappedCandidate?.mapping ?? null
  }

  /** STUN servers. Empty until their names are resolved. */
  get servers(): readonly Endpoint[] {
    return this.#servers
  }

  /** True when all our candidates are loopback addresses. Only then are loopback addresses of peers tried. */
  get onLoopback(): boolean {
    return this.candidates.every(({ endpoint }) => addressScope(endpoint.address) === 'loopback')
  }

  /** Our candidates now. */
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

  /** Sends from the main socket of the address family. The packet is lost when there is none. */
  send(bytes: Uint8Array, to: Endpoint, ttl?: number): void {
    this.#sockets.send(bytes, to, ttl)
  }

  /**
   * Sockets for one protocol machine. Socket 0 is the main one; others are opened at their first use. `onDatagram` gets
   * all packets of the other sockets, STUN included. Packets of the main one still go to `onPacket`. The caller closes
   * the set.
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
    this.#cancelUdpWait()
    await Promise.allSettled([...this.#pendingCloses, this.#mappedCandidate?.close(), this.tcp?.close()])
    await this.#sockets.close()
  }

  #receive(bytes: Uint8Array, from: Endpoint): void {
    const first = bytes[0]
    if (first === undefined) return
    if (first < firstByteAboveStun) {
      this.#hasStunAnswer = true
      this.#addressDiscovery.receive(bytes, from)
    } else this.#options.onPacket(bytes, from)
  }
}

function ofFamily(endpoints: readonly Endpoint[], family: Family): Endpoint[] {
  return endpoints.filter(({ address }) => familyOf(address) === family)
}
