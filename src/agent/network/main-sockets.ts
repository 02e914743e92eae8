// The agent's main UDP sockets, one a family: those whose places others are told. They are bound to no address, so that
// they outlive a change of network.

import { type Endpoint, type Family, familyOf } from '../../base/endpoint.ts'
import type { UdpSocket } from '../../net/udp/udp-socket.ts'
import type { NetworkIo } from './network-io.ts'

type MainSocketsOptions = {
  readonly io: Pick<NetworkIo, 'openUdpSocket' | 'hostEndpoints'>
  /** 0 for any. */
  readonly port: number
  readonly onDatagram: (bytes: Uint8Array, from: Endpoint) => void
}

export class MainSockets {
  readonly #options: MainSocketsOptions
  readonly #sockets = new Map<Family, UdpSocket>()
  /** Resolve when the socket, if one came of it, is among `#sockets`. */
  readonly #openings: Promise<void>[] = []

  constructor(options: MainSocketsOptions) {
    this.#options = options
  }

  /** Rejects with a Problem when there is none for IPv4. */
  async open(): Promise<void> {
    await Promise.all([this.#open(4), this.openSix()])
  }

  /** If the machine has an IPv6 address that anybody could reach, and no socket yet; it may list some and let nobody use them. */
  async openSix(): Promise<void> {
    const six = this.#options.io.hostEndpoints([{ address: '::', port: 1 }])
    const hasSix = six.some(({ address }) => familyOf(address) === 6)
    if (hasSix && !this.#sockets.has(6)) await this.#open(6).catch(() => {})
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

  /** Lost when there is no socket of the family. */
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
