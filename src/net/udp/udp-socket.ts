// A UDP socket as the rest of the product sees it.

import { createSocket, type Socket } from 'node:dgram'
import { canonicalAddress, type Endpoint, type Family, familyOf } from '../../base/endpoint.ts'
import { bindProblem } from '../bind-errors.ts'

/** The largest payload that crosses Ethernet in one piece; nothing of ours is larger, in either direction. */
export const maxDatagramBytes = 1472
/** Datagrams handed to the kernel and not yet taken; beyond it new ones are dropped, as a full link would. */
const maxWaiting = 1024
/** For what comes while we are busy: streams come in bursts. The system may give less. */
const receiveBufferBytes = 4 * 1024 * 1024
/** Senders' addresses remembered; then the memory starts anew. */
const maxAddresses = 256
/** RFC 1700; what systems give by themselves. */
const usualTtl = 64

type UdpStats = {
  readonly received: number
  /** Too big, from an address we cannot answer, or more waiting than the bound. */
  readonly dropped: number
}

export interface UdpSocket {
  readonly family: Family
  /** As bound; the address is `0.0.0.0` or `::` when bound to all. */
  readonly local: Endpoint
  /** Never throws: what the kernel does not take is lost as on the way. Datagrams of the other family are dropped. `ttl`:
   *  hops this one may live. */
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
  /** `bytes` belongs to the callee. */
  readonly onDatagram: (bytes: Uint8Array, from: Endpoint) => void
}

/** Rejects with a Problem (`port-taken` or `network`). */
export async function openUdpSocket(options: UdpOptions): Promise<UdpSocket> {
  const address = options.address ?? (options.family === 4 ? '0.0.0.0' : '::')
  const port = options.port ?? 0
  const socket = createSocket({
    type: options.family === 4 ? 'udp4' : 'udp6',
    // One family a socket: IPv4 peers would otherwise appear twice, under two spellings.
    ipv6Only: options.family === 6,
    recvBufferSize: receiveBufferBytes,
    // We only ever send to literal addresses; node would ask its resolver for each datagram.
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
  /** Datagrams under way that were given a short life. */
  #shortened = 0
  /** What senders' addresses are as endpoints; reading one costs more than taking the datagram. */
  readonly #addresses = new Map<string, string | null>()

  constructor(socket: Socket, { family, onDatagram }: UdpOptions, local: Endpoint) {
    this.family = family
    this.local = local
    this.#socket = socket
    socket.on('message', (bytes, { address, port }) => {
      if (!this.#open) return
      // A link-local sender carries a zone, which makes no endpoint: we could not tell others of it.
      const canonical = this.#canonical(address)
      if (canonical === null || port === 0 || bytes.length > maxDatagramBytes) {
        this.#dropped++
        return
      }
      this.#received++
      onDatagram(bytes, { address: canonical, port })
    })
    // Without a listener a stray ICMP error would end the process.
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
    const unfit = bytes.length > maxDatagramBytes || familyOf(to.address) !== this.family
    if (unfit || this.#socket.getSendQueueCount() >= maxWaiting) {
      this.#dropped++
      return
    }
    try {
      if (ttl === undefined) {
        // A callback would be called for each datagram, and tell nothing that anybody could act upon.
        this.#socket.send(bytes, to.port, to.address)
        return
      }
      this.#shorten(ttl)
      this.#socket.send(bytes, to.port, to.address, this.#restoreTtl)
    } catch {
      if (ttl !== undefined) this.#restoreTtl()
    }
  }

  /** The kernel may take the datagram later than this call, so the old value comes back in the callback. Other
   *  datagrams that are under way meanwhile may share the short life: they are sent again as any lost one. */
  #shorten(ttl: number): void {
    this.#shortened++
    this.#socket.setTTL(ttl)
  }

  readonly #restoreTtl = (): void => {
    this.#shortened--
    if (this.#open && this.#shortened === 0) this.#socket.setTTL(usualTtl)
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
