// The main UDP sockets of the agent, one per address family. Our candidates are the addresses of these sockets. They
// are bound to the wildcard address, so they survive a change of network.

import { type Endpoint, type Family, familyOf } from '../../base/endpoint.ts'
import type { UdpSocket } from '../../net/udp/udp-socket.ts'
import type { NetworkIo } from './network-io.ts'

type MainSocketsOptions = {
  readonly io: Pick<NetworkIo, 'openUdpSocket' | 'hostEndpoints'>
  /** 0 means any. */
  readonly port: number
  readonly onDatagram: (bytes: Uint8Array, from: Endpoint) => void
}

export class MainSockets {
  readonly #options: MainSocketsOptions
  readonly #sockets = new Map<Family, UdpSocket>()
  /** Each resolves when its socket is in `#sockets`, and rejects when it cannot be opened. */
  readonly #openings: Promise<void>[] = []

  constructor(options: MainSocketsOptions) {
    this.#options = options
  }

  /** Rejects with a Problem when the IPv4 socket cannot be opened. */
  async open(): Promise<void> {
    await Promise.all([this.#open(4), this.openIpv6()])
  }

  /** Opens the IPv6 socket if the computer has an IPv6 address that others could reach. An error is ignored, because some
   *  computers list IPv6 addresses that they do not let programs use. */
  async openIpv6(): Promise<void> {
    const ipv6Endpoints = this.#options.io.hostEndpoints([{ address: '::', port: 1 }])
    const hasIpv6 = ipv6Endpoints.some(({ address }) => familyOf(address) === 6)
    if (hasIpv6 && !this.#sockets.has(6)) await this.#open(6).catch(() => {})
  }

  get families(): readonly Family[] {
    return [...this.#sockets.keys()].sort()
  }

  portOf(family: Family): number | null {
    return this.#sockets.get(family)?.local.port ?? null
  }

  get hostEndpoints(): readonly Endpoint[] {
    return this.#options.io.hostEndpoints([...this.#sockets.values()].map(({ local }) => local))
  }

  /** The packet is lost when there is no socket of its family. */
  send(bytes: Uint8Array, to: Endpoint, ttl?: number): void {
    this.#sockets.get(familyOf(to.address))?.send(bytes, to, ttl)
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#openings)
    await Promise.all([...this.#sockets.values()].map((socket) => socket.close()))
  }

  #open(family: Family): Promise<void> {
    const { io, port, onDatagram } = this.#options
    const opening = io.openUdpSocket({ family, port, onDatagram }).then((socket) => {
      this.#sockets.set(family, socket)
    })
    this.#openings.push(opening)
    return opening
  }
}
