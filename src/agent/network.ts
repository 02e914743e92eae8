// The agent's UDP socket: finds out where it can be reached, keeps the NAT's mapping open while letters travel
// (mission A1, B4, C4), and tells STUN's packets from those of peers.

import type { Clock } from '../base/clock.ts'
import type { Crypto } from '../base/crypto.ts'
import { addressScope, type Candidate, type Endpoint, equalEndpoints } from '../base/endpoint.ts'
import { type NatProfile, unknownNat } from '../base/nat-profile.ts'
import { createProber, type NatView } from '../nat/prober.ts'
import { type Driver, drive } from '../net/drive.ts'
import { hostEndpoints } from '../net/interfaces.ts'
import { resolveServers } from '../net/resolve-servers.ts'
import { SocketSet, type SocketSetOptions } from '../net/socket-set.ts'
import { openUdpSocket, type UdpSocket } from '../net/udp-socket.ts'

/** What the operating system does for us; tests have their own. */
export type NetworkIo = {
  readonly openUdpSocket: typeof openUdpSocket
  readonly hostEndpoints: (sockets: readonly Endpoint[]) => readonly Endpoint[]
  readonly resolveServers: typeof resolveServers
}

export const systemNetwork: NetworkIo = {
  openUdpSocket,
  hostEndpoints: (sockets) => hostEndpoints(sockets),
  resolveServers,
}

export type NetworkOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly io: NetworkIo
  /** 0 for any. */
  readonly port: number
  readonly stunServers: readonly string[]
  readonly keepaliveMs: number
  /** The first verdict, and every later one that differs. */
  readonly onView: (view: NatView, first: boolean) => void
  /** Whatever is not STUN. */
  readonly onPacket: (bytes: Uint8Array, from: Endpoint) => void
  /** One sentence: a server whose name could not be resolved. */
  readonly onNotice: (notice: string) => void
}

/** STUN's first byte is below this (RFC 7983 §7). */
const firstByteAboveStun = 0x40

export class Network {
  readonly #options: NetworkOptions
  #socket: UdpSocket | null = null
  #opening: Promise<UdpSocket | null> = Promise.resolve(null)
  #servers: readonly Endpoint[] = []
  #prober: Driver<unknown> | null = null
  #proberSockets: SocketSet | null = null
  #view: NatView = { profile: unknownNat, publicEndpoints: [], observations: [] }
  #closed = false
  #onClosed: () => void = () => {}

  constructor(options: NetworkOptions) {
    this.#options = options
  }

  /** Resolves when the first verdict on the NAT is there, a few seconds at most, or when closed. */
  async open(): Promise<void> {
    const { io, port, stunServers, onNotice } = this.#options
    const opening = io.openUdpSocket({
      family: 4,
      port,
      onDatagram: (bytes, from) => this.#receive(bytes, from),
    })
    this.#opening = opening.catch(() => null)
    const socket = await opening
    if (this.#closed) return
    this.#socket = socket
    const { endpoints: servers, failures } = await io.resolveServers(stunServers, { families: [4] })
    if (this.#closed) return
    for (const { server, reason } of failures)
      onNotice(`The STUN server ${server} cannot be asked: ${reason}`)
    this.#servers = servers
    await this.#probe(socket)
  }

  #probe(socket: UdpSocket): Promise<void> {
    const { io, clock, crypto, keepaliveMs, onView } = this.#options
    const sockets = this.sockets(
      (bytes, from, via) => this.#prober?.receive(bytes, from, via),
      (via) => this.#prober?.socketFailed(via),
    )
    this.#proberSockets = sockets
    return new Promise((resolve) => {
      this.#onClosed = resolve
      this.#prober = drive({
        machine: createProber({
          crypto,
          servers: this.#servers,
          localEndpoints: io.hostEndpoints([socket.local]),
          now: clock.now(),
          keepaliveMs,
        }),
        clock,
        send: (bytes, to, via, ttl) => sockets.send(bytes, to, via, ttl),
        close: (via) => sockets.close(via),
        onEvent: (event) => {
          this.#view = event
          onView(event, event.type === 'profile')
          if (event.type === 'profile') resolve()
        },
      })
    })
  }

  get nat(): NatProfile {
    return this.#view.profile
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
    if (!this.#socket) return []
    const host = this.#options.io.hostEndpoints([this.#socket.local])
    const reflexive = this.#view.publicEndpoints
    return [
      ...host.map((endpoint): Candidate => ({ kind: 'host', endpoint })),
      ...reflexive.map((endpoint): Candidate => ({ kind: 'server-reflexive', endpoint })),
    ].filter(
      ({ kind, endpoint }, index, all) =>
        all.findIndex((other) => other.kind === kind && equalEndpoints(other.endpoint, endpoint)) === index,
    )
  }

  /** By the main socket. */
  send(bytes: Uint8Array, to: Endpoint, ttl?: number): void {
    this.#socket?.send(bytes, to, ttl)
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
    this.#prober?.stop()
    this.#proberSockets?.closeAll()
    this.#onClosed()
    const socket = await this.#opening
    await socket?.close()
  }

  #receive(bytes: Uint8Array, from: Endpoint): void {
    const first = bytes[0]
    if (first === undefined) return
    if (first < firstByteAboveStun) this.#prober?.receive(bytes, from)
    else this.#options.onPacket(bytes, from)
  }
}
