// A computer on simulated networks, and its UDP sockets: a main one that programs share, and sets of extra ones
// as `net/udp/socket-set.ts` has them.

import type { Clock } from '../../../src/base/clock.ts'
import { type Endpoint, familyOf, formatEndpoint } from '../../../src/base/endpoint.ts'
import type { Via } from '../../../src/base/protocol-machine.ts'
import type { Datagram, Member, Segment } from './simulated-network.ts'

export type Receive = (bytes: Uint8Array, from: Endpoint) => void

export type ComputerOptions = {
  readonly clock: Clock
  readonly random: () => number
  readonly segment: Segment
  /** Endpoint of the main socket. */
  readonly local: Endpoint
  /** The same port on a second network, for IPv6. */
  readonly ipv6?: { readonly segment: Segment; readonly local: Endpoint }
  /** Highest number of open extra sockets. */
  readonly maxSockets?: number
}

/** Linux's `ip_local_port_range`. */
const ephemeral = { first: 32_768, last: 60_999 }

export class SimulatedComputer implements Member {
  readonly #options: ComputerOptions
  readonly #receivers = new Map<number, Receive>()
  openSockets = 0

  constructor(options: ComputerOptions) {
    this.#options = options
    const { segment, local, ipv6 } = options
    segment.join(local.address, this)
    ipv6?.segment.join(ipv6.local.address, this)
  }

  /** Sets the receiver of the main socket. */
  listen(receive: Receive): void {
    this.#receivers.set(this.#options.local.port, receive)
  }

  send(bytes: Uint8Array, to: Endpoint, port = this.#options.local.port, ttl?: number): void {
    const { local, segment, ipv6 } = this.#options
    const home = familyOf(to.address) === familyOf(local.address) ? { local, segment } : ipv6
    const from = home && { address: home.local.address, port }
    if (from) home.segment.send({ from, to, bytes, ...(ttl !== undefined && { ttl }) })
  }

  receive({ bytes, from, to }: Datagram): void {
    this.#receivers.get(to.port)?.(bytes, from)
  }

  /** Null when no more sockets may be open. */
  open(receive: Receive): number | null {
    if (this.openSockets >= (this.#options.maxSockets ?? Number.POSITIVE_INFINITY)) return null
    let port: number
    do {
      port = ephemeral.first + Math.floor(this.#options.random() * (ephemeral.last - ephemeral.first + 1))
    } while (this.#receivers.has(port))
    this.#receivers.set(port, receive)
    this.openSockets++
    return port
  }

  close(port: number): void {
    if (this.#receivers.delete(port)) this.openSockets--
  }
}

export type SocketSetOptions = {
  readonly clock: Clock
  readonly computer: SimulatedComputer
  readonly onDatagram: (bytes: Uint8Array, from: Endpoint, via: Via) => void
  readonly onFailure: (via: Via) => void
}

/** The simulated counterpart of `net/udp/socket-set.ts`. */
export class SimulatedSockets {
  readonly #options: SocketSetOptions
  readonly #ports = new Map<Via, number>()
  /** Socket numbers are never reused; a machine that does so has a fault. */
  readonly #closed = new Set<Via>()
  /** Datagrams of the machine from any socket, even from one that could not be opened. */
  sent = 0

  constructor(options: SocketSetOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#ports.size
  }

  send(bytes: Uint8Array, to: Endpoint, via: Via, ttl?: number): void {
    this.sent++
    this.#send(bytes, to, via, ttl)
  }

  /** Sends data that is not the machine's own, from one of its sockets. */
  sendData(bytes: Uint8Array, to: Endpoint, via: Via): void {
    this.#send(bytes, to, via)
  }

  #send(bytes: Uint8Array, to: Endpoint, via: Via, ttl?: number): void {
    const { clock, computer, onDatagram, onFailure } = this.#options
    if (via === 0) {
      computer.send(bytes, to, undefined, ttl)
      return
    }
    if (this.#closed.has(via)) {
      throw new Error(`socket ${via} is used after it was closed (${formatEndpoint(to)})`)
    }
    const port = this.#ports.get(via) ?? computer.open((received, from) => onDatagram(received, from, via))
    if (port === null) {
      clock.after(0, () => onFailure(via))
      return
    }
    this.#ports.set(via, port)
    computer.send(bytes, to, port, ttl)
  }

  close(via: Via): void {
    const port = this.#ports.get(via)
    this.#closed.add(via)
    if (port === undefined) return
    this.#ports.delete(via)
    this.#options.computer.close(port)
  }

  closeAll(): void {
    for (const via of [...this.#ports.keys()]) this.close(via)
  }
}
