// The local UDP socket that represents a peer to the game. It is bound to the peer's loopback address and connected to
// the game's port, so that only the game can answer. When 127.0.0.1 refuses, it tries ::1, where some games listen.

import { createSocket, type Socket } from 'node:dgram'
import { lookupLiteral, loopbacks } from '../local-ports.ts'
import type { PeerLoopbackAddresses } from '../peer-loopback-addresses.ts'

type GameSocketOptions = {
  readonly port: number
  readonly peerId: string
  readonly addresses: PeerLoopbackAddresses
  readonly onDatagram: (bytes: Uint8Array) => void
  /** No socket could be opened. Nothing more is sent. */
  readonly onFailed: () => void
}

/** Datagrams kept while a socket opens. When full, new ones are dropped. */
const maxWaiting = 16
/** Datagrams that the kernel has not accepted yet. When full, new ones are dropped. */
const maxQueued = 1024

type FamilySocket = {
  readonly socket: Socket
  readonly local: string
  isReady: boolean
  readonly waiting: Uint8Array[]
  /** One callback for all datagrams, because there are many. */
  readonly onSent: (error: Error | null) => void
}

export class GameSocket {
  readonly #options: GameSocketOptions
  /** IPv4 and IPv6. Each socket stays open once it was tried, so that the game sees one address per family. */
  readonly #familySockets: [FamilySocket | null, FamilySocket | null] = [null, null]
  #used: 0 | 1 = 0
  /** The last datagram. It is sent again over the other family when this one is refused. */
  #lastDatagram: Uint8Array | null = null
  #closed = false

  constructor(options: GameSocketOptions) {
    this.#options = options
    this.#familySockets[0] = this.#open(0)
  }

  /** Returns false when the datagram is dropped because too many wait. */
  send(bytes: Uint8Array): boolean {
    const familySocket = this.#familySockets[this.#used]
    if (this.#closed || !familySocket) return false
    this.#lastDatagram = bytes
    return this.#sendOver(familySocket, bytes)
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(
      this.#familySockets.map(
        (familySocket) =>
          familySocket && new Promise<void>((resolve) => familySocket.socket.close(() => resolve())),
      ),
    )
  }

  #sendOver(familySocket: FamilySocket, bytes: Uint8Array): boolean {
    if (!familySocket.isReady) {
      if (familySocket.waiting.length >= maxWaiting) return false
      familySocket.waiting.push(bytes)
      return true
    }
    if (familySocket.socket.getSendQueueCount() >= maxQueued) return false
    familySocket.socket.send(bytes, familySocket.onSent)
    return true
  }

  #open(index: 0 | 1): FamilySocket {
    const { port, peerId, addresses, onDatagram } = this.#options
    const { family, address } = loopbacks[index]
    const local = family === 4 ? addresses.of(peerId) : address
    const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', lookup: lookupLiteral })
    const onSent = (error: Error | null) => {
      if (error) this.#handleError(index, error)
    }
    const familySocket: FamilySocket = { socket, local, isReady: false, waiting: [], onSent }
    socket.on('error', (error) => this.#handleError(index, error))
    socket.on('message', (bytes) => {
      if (!this.#closed) onDatagram(bytes)
    })
    socket.bind({ address: local, port: 0, exclusive: true }, () => {
      if (this.#closed) return
      socket.connect(port, address, () => {
        if (this.#closed) return
        familySocket.isReady = true
        for (const bytes of familySocket.waiting.splice(0)) this.#sendOver(familySocket, bytes)
      })
    })
    return familySocket
  }

  #handleError(index: 0 | 1, error: Error): void {
    const { code } = error as NodeJS.ErrnoException
    const familySocket = this.#familySockets[index]
    if (this.#closed || !familySocket) return
    if (familySocket.isReady) {
      if (code === 'ECONNREFUSED') this.#switchFamily(index)
      return
    }
    familySocket.socket.close()
    this.#familySockets[index] = null
    if (
      index === 0 &&
      code === 'EADDRNOTAVAIL' &&
      this.#options.addresses.reportUnusable(familySocket.local)
    ) {
      const reopened = this.#open(0)
      reopened.waiting.push(...familySocket.waiting)
      this.#familySockets[0] = reopened
    } else if (index === 0) {
      this.#closed = true
      this.#options.onFailed()
    } else this.#used = 0
  }

  /** No program listens on this loopback address. */
  #switchFamily(index: 0 | 1): void {
    if (index !== this.#used) return
    const other = index === 0 ? 1 : 0
    const last = this.#lastDatagram
    const familySocket = this.#familySockets[other] ?? this.#open(other)
    this.#familySockets[other] = familySocket
    this.#used = other
    // Only once: if no program listens there either, the next datagram tries again.
    this.#lastDatagram = null
    if (last) this.#sendOver(familySocket, last)
  }
}
