// The agent's UDP sockets, one a family: they find out where they can be reached, keep the NAT's mappings open
// while letters travel (mission A1, B4, C4), and tell STUN's packets from those of peers. When the computer comes into
// another network the sockets stay, since they are bound to no address, and everything is found out anew.

import type { Clock } from '../base/clock.ts'
import type { Crypto } from '../base/crypto.ts'
import {
  addressScope,
  type Candidate,
  type Endpoint,
  equalEndpoints,
  type Family,
  familyOf,
} from '../base/endpoint.ts'
import type { NatProfile } from '../base/nat-profile.ts'
import { limits } from '../letter/limits.ts'
import type { NatView } from '../nat/prober.ts'
import { hostEndpoints } from '../net/interfaces.ts'
import type { PortMapper, PortMapping, PortMappingOptions } from '../net/port-mapping.ts'
import { resolveServers } from '../net/resolve-servers.ts'
import { SocketSet, type SocketSetOptions } from '../net/socket-set.ts'
import { openUdpSocket, type UdpSocket } from '../net/udp-socket.ts'
import { AddressFinder, emptyView } from './address-finder.ts'
import { AddressWatch } from './address-watch.ts'
import { OpenPort } from './open-port.ts'

/** What the operating system does for us; tests have their own. */
export type NetworkIo = {
  readonly openUdpSocket: typeof openUdpSocket
  readonly hostEndpoints: (sockets: readonly Endpoint[]) => readonly Endpoint[]
  readonly resolveServers: typeof resolveServers
  /** Left out where there is no router to ask. */
  readonly mapPort?: (options: PortMappingOptions) => Promise<PortMapper>
  /** Between two looks at our own addresses; they are not looked at again when left out. */
  readonly lookMs?: number
}

export const systemNetwork: NetworkIo = {
  openUdpSocket,
  hostEndpoints: (sockets) => hostEndpoints(sockets),
  resolveServers,
  mapPort: async (options) => (await import('../net/port-mapping.ts')).mapPort(options),
  lookMs: 2_000,
}

export type NetworkOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly io: NetworkIo
  /** 0 for any. */
  readonly port: number
  readonly stunServers: readonly string[]
  readonly keepaliveMs: number
  /** Entered by hand (mission D9): counts more than what is found out. */
  readonly knownNat?: Partial<NatProfile>
  /** Whether the router is asked to open a port. */
  readonly portMapping: boolean
  /** The first verdict, every later one that differs, and the first one in another network. */
  readonly onView: (view: NatView, first: boolean) => void
  /** We are in another network, or have slept: what is known may not hold any more; `onView` follows. */
  readonly onMoved?: () => void
  /** Whatever is not STUN. */
  readonly onPacket: (bytes: Uint8Array, from: Endpoint) => void
  /** The router opened or closed a port after `open` had resolved. */
  readonly onNews: () => void
  /** One sentence: a server whose name could not be resolved, or what the router did. */
  readonly onNotice: (notice: string) => void
}

/** STUN's first byte is below this (RFC 7983 §7). */
const firstByteAboveStun = 0x40

export class Network {
  readonly #options: NetworkOptions
  #finder: AddressFinder
  /** Of the network before, until more is known. */
  #viewBefore: NatView = emptyView
  readonly #sockets = new Map<Family, UdpSocket>()
  /** Resolve when the socket, if one came of it, is among `#sockets`. */
  readonly #openings: Promise<void>[] = []
  #openPort: OpenPort | null
  /** Of networks before, taking their ports back. */
  readonly #closings = new Set<Promise<void>>()
  #watch: AddressWatch | null = null
  /** Counts the networks we were in. */
  #generation = 0
  #servers: readonly Endpoint[] = []
  #closed = false

  constructor(options: NetworkOptions) {
    this.#options = options
    this.#openPort = this.#makeOpenPort()
    this.#finder = this.#makeFinder()
  }

  /** Resolves when the first verdict on the NAT is there, a few seconds at most, or when closed. */
  async open(): Promise<void> {
    const { io, clock } = this.#options
    await Promise.all([
      this.#openSocket(4),
      // A machine may list IPv6 addresses and yet let nobody use them.
      this.#hasSix() && this.#openSocket(6).catch(() => {}),
    ])
    if (this.#closed) return
    if (io.lookMs !== undefined) {
      this.#watch = new AddressWatch({
        clock,
        lookMs: io.lookMs,
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
    this.#finder.stop()
    this.#finder = this.#makeFinder()
    const openPort = this.#openPort
    if (openPort) {
      const closing = openPort.close().catch(() => {})
      this.#closings.add(closing)
      void closing.then(() => this.#closings.delete(closing))
    }
    this.#openPort = this.#makeOpenPort()
    const opening =
      !this.#sockets.has(6) && this.#hasSix() ? this.#openSocket(6).catch(() => {}) : Promise.resolve()
    void opening.then(() => this.#explore())
    this.#options.onMoved?.()
  }

  /** Asks STUN servers and router where we are. */
  async #explore(): Promise<void> {
    const generation = this.#generation
    const isOver = () => this.#closed || generation !== this.#generation
    const { io, stunServers, onNotice } = this.#options
    if (isOver()) return
    const families = [...this.#sockets.keys()].sort()
    const { endpoints, failures } = await io.resolveServers(stunServers, { families })
    if (isOver()) return
    for (const { server, reason } of failures)
      onNotice(`The STUN server ${server} cannot be asked: ${reason}`)
    // In a network that has just come up names may not be known yet.
    if (endpoints.length > 0 || generation === 0) this.#servers = endpoints
    await Promise.all([
      this.#finder.start(
        families.map((family) => ({
          family,
          servers: ofFamily(this.#servers, family),
          localEndpoints: ofFamily(this.#hostEndpoints(), family),
        })),
      ),
      this.#askRouter(),
    ])
  }

  #makeFinder(): AddressFinder {
    const { clock, crypto, keepaliveMs, knownNat, onView } = this.#options
    const isFirstNetwork = this.#generation === 0
    return new AddressFinder({
      clock,
      crypto,
      keepaliveMs,
      ...(knownNat && { known: knownNat }),
      sockets: (onDatagram, onFailure) => this.sockets(onDatagram, onFailure),
      onView: (view, first) => onView(view, first && isFirstNetwork),
    })
  }

  #makeOpenPort(): OpenPort | null {
    const { clock, crypto, io, portMapping, onNews, onNotice } = this.#options
    const { mapPort } = io
    return portMapping && mapPort ? new OpenPort({ clock, crypto, mapPort, onNews, onNotice }) : null
  }

  /** Not when all the world is this computer, as in a demonstration. */
  async #askRouter(): Promise<void> {
    const port = this.#sockets.get(4)?.local.port
    const isAtHome =
      this.#servers.length > 0 && this.#servers.every(({ address }) => addressScope(address) === 'loopback')
    if (port !== undefined && !isAtHome) await this.#openPort?.ask(port)
  }

  #openSocket(family: Family): Promise<void> {
    const { io, port } = this.#options
    const onDatagram = (bytes: Uint8Array, from: Endpoint) => this.#receive(bytes, from)
    const opening = io.openUdpSocket({ family, port, onDatagram }).then((socket) => {
      this.#sockets.set(family, socket)
    })
    this.#openings.push(opening)
    return opening
  }

  /** Whether the machine has an IPv6 address that anybody could reach; an agent without one is silent about it. */
  #hasSix(): boolean {
    return ofFamily(this.#options.io.hostEndpoints([{ address: '::', port: 1 }]), 6).length > 0
  }

  /** Of both families, also of one that has no socket yet. */
  #allAddresses(): readonly string[] {
    const everywhere = [
      { address: '0.0.0.0', port: 1 },
      { address: '::', port: 1 },
    ]
    return this.#options.io.hostEndpoints(everywhere).map(({ address }) => address)
  }

  #hostEndpoints(): readonly Endpoint[] {
    return this.#options.io.hostEndpoints([...this.#sockets.values()].map(({ local }) => local))
  }

  get nat(): NatProfile {
    return this.view.profile
  }

  get view(): NatView {
    return this.#generation === 0 || this.#finder.isSettled ? this.#finder.view : this.#viewBefore
  }

  /** The port that the router opened, if it did. */
  get portMapping(): PortMapping | null {
    return this.#openPort?.mapping ?? null
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
    const host = this.#hostEndpoints()
    const reflexive = this.view.publicEndpoints
    const mapped = this.#openPort?.candidate
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
    this.#sockets.get(familyOf(to.address))?.send(bytes, to, ttl)
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
    this.#watch?.stop()
    this.#finder.stop()
    await Promise.allSettled([...this.#openings, ...this.#closings, this.#openPort?.close()])
    await Promise.all([...this.#sockets.values()].map((socket) => socket.close()))
  }

  #receive(bytes: Uint8Array, from: Endpoint): void {
    const first = bytes[0]
    if (first === undefined) return
    if (first < firstByteAboveStun) this.#finder.receive(bytes, from)
    else this.#options.onPacket(bytes, from)
  }
}

function ofFamily(endpoints: readonly Endpoint[], family: Family): Endpoint[] {
  return endpoints.filter(({ address }) => familyOf(address) === family)
}
