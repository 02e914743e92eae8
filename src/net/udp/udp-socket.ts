// A UDP socket with canonical addresses, bounded queues and counters.

import { createSocket, type Socket } from 'node:dgram'
import { canonicalAddress, type Endpoint, type Family, familyOf } from '../../base/endpoint.ts'
import { bindProblem } from '../bind-errors.ts'

/** The largest payload of an unfragmented Ethernet packet. Larger datagrams are neither sent nor accepted. */
export const maxDatagramBytes = 1472
/** Datagrams that the kernel has not taken yet. Beyond it new ones are dropped, as on a full link. */
const maxQueued = 1024
/** For bursts that arrive while we are busy. The system may give less. */
const receiveBufferBytes = 4 * 1024 * 1024
/** Cached sender addresses; when full, the cache is cleared. */
const maxAddresses = 256
/** The usual system default (RFC 1700). */
const defaultTtl = 64

type UdpStats = {
  readonly received: number
  /** Too large, from an address we cannot answer, or beyond the queue's bound. */
  readonly dropped: number
}

export interface UdpSocket {
  readonly family: Family
  /** As bound; the address is `0.0.0.0` or `::` when bound to all. */
  readonly local: Endpoint
  /**
   * Never throws: a datagram that the kernel rejects counts as lost. Datagrams of the other family are dropped.
   * `ttl`: hop limit of this datagram.
   */
  send(bytes: Uint8Array, to: Endpoint, ttl?: number): void
  stats(): UdpStats
  close(): Promise<void>
}

export type UdpOptions = {
  readonly family: Family
  /** Default: all addresses of the family. */
  readonly address?: string
  /** Default: any free port. */
  readonly port?: number
  /** The callee owns `bytes`. */
  readonly onDatagram: (bytes: Uint8Array, from: Endpoint) => void
}

/** Rejects with a Problem (`port-taken` or `network`). */
export async function openUdpSocket(options: UdpOptions): Promise<UdpSocket> {
  const address = options.address ?? (options.family === 4 ? '0.0.0.0' : '::')
  const port = options.port ?? 0
  const socket = createSocket({
    type: options.family === 4 ? 'udp4' : 'udp6',
    // One family per socket: otherwise IPv4 peers would appear under two spellings.
    ipv6Only: options.family === 6,
    recvBufferSize: receiveBufferBytes,
    // We send only to literal addresses; without this, Node would ask its resolver for each datagram.
    lookup: (hostname, _options, done) => done(null, hostname, options.family),
  })
  const bound = await bind(socket, address, port)
  return new DgramSocket(socket, options, bound)
}

async function bind(socket: Socket, address: string, port: number): Promise<Endpoint> {
  await new Promise<void>((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => {
      socket.close()
      reject(bindProblem(error, 'UDP', { address, port }))
    }
    socket.once('error', fail)
    socket.bind({ address, port, exclusive: true }, () => {
      socket.off('error', fail)
      resolve()
    })
  })
  return { address, port: socket.address().port }
}

class DgramSocket implements UdpSocket {
  readonly family: Family
  readonly local: Endpoint
  readonly #socket: Socket
  #open = true
  #received = 0
  #dropped = 0
  /** Pending datagrams with a small hop limit. */
  #pendingWithTtl = 0
  /** Canonical forms of sender addresses; parsing one costs more than receiving the datagram. */
  readonly #addresses = new Map<string, string | null>()

  constructor(socket: Socket, { family, onDatagram }: UdpOptions, local: Endpoint) {
    this.family = family
    this.local = local
    this.#socket = socket
    socket.on('message', (bytes, { address, port }) => {
      if (!this.#open) return
      // A link-local sender has a zone, which an endpoint cannot express, so we could not announce it.
      const canonical = this.#canonical(address)
      if (canonical === null || port === 0 || bytes.length > maxDatagramBytes) {
        this.#dropped++
        return
      }
      this.#received++
      onDatagram(bytes, { address: canonical, port })
    })
    // Without a listener an ICMP error would end the process.
    socket.on('error', () => {})
  }

  #canonical(address: string): string | null {
    let canonical = this.#addresses.get(address)
    if (canonical === undefined) {
      canonical = canonicalAddress(address)
      if (this.#addresses.size >= maxAddresses) this.#addresses.clear()
      this.#addresses.set(address, canonical)
    }
    return canonical
  }

  send(bytes: Uint8Array, to: Endpoint, ttl?: number): void {
    if (!this.#open) return
    const isUnfit = bytes.length > maxDatagramBytes || familyOf(to.address) !== this.family
    if (isUnfit || this.#socket.getSendQueueCount() >= maxQueued) {
      this.#dropped++
      return
    }
    try {
      if (ttl === undefined) {
        // A callback would run for each datagram and bring nothing useful.
        this.#socket.send(bytes, to.port, to.address)
        return
      }
      this.#setTtl(ttl)
      this.#socket.send(bytes, to.port, to.address, this.#restoreTtl)
    } catch {
      if (ttl !== undefined) this.#restoreTtl()
    }
  }

  /**
   * The kernel may take the datagram after this call, so the callback restores the old value. Other pending
   * datagrams may get the small hop limit too; they are repeated like lost ones.
   */
  #setTtl(ttl: number): void {
    this.#pendingWithTtl++
    this.#socket.setTTL(ttl)
  }

  readonly #restoreTtl = (): void => {
    this.#pendingWithTtl--
    if (this.#open && this.#pendingWithTtl === 0) this.#socket.setTTL(defaultTtl)
  }

  stats(): UdpStats {
    return { received: this.#received, dropped: this.#dropped }
  }

  async close(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()))
  }
}
