// A peer's UDP socket beside the local game: bound to the address that stands for the peer, and connected to the
// game's port, so that only the game can answer. A game that listens on ::1 alone is found when 127.0.0.1 refuses.

import { createSocket, type Socket } from 'node:dgram'
import { literally, loopbacks } from '../local-ports.ts'
import type { PeerLoopbackAddresses } from '../peer-loopback-addresses.ts'

type GameSocketOptions = {
  readonly port: number
  readonly peerId: string
  readonly addresses: PeerLoopbackAddresses
  readonly onDatagram: (bytes: Uint8Array) => void
  /** No socket could be had; nothing more is sent. */
  readonly onFailed: () => void
}

/** Datagrams kept while a socket is being opened; later ones are dropped. */
const maxWaiting = 16
/** Datagrams handed to the kernel and not yet taken. */
const maxQueued = 1024

type Side = {
  readonly socket: Socket
  readonly local: string
  isReady: boolean
  readonly waiting: Uint8Array[]
  /** One for all datagrams, as there are many. */
  readonly onSent: (error: Error | null) => void
}

export class GameSocket {
  readonly #options: GameSocketOptions
  /** Both are kept once they were tried, so that the game sees one address in each family. */
  readonly #sides: [Side | null, Side | null] = [null, null]
  #used: 0 | 1 = 0
  /** Sent again by the other side when this one was refused. */
  #last: Uint8Array | null = null
  #closed = false

  constructor(options: GameSocketOptions) {
    this.#options = options
    this.#sides[0] = this.#open(0)
  }

  /** False when too much waits already. */
  send(bytes: Uint8Array): boolean {
    const side = this.#sides[this.#used]
    if (this.#closed || !side) return false
    this.#last = bytes
    return this.#sendBy(side, bytes)
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(
      this.#sides.map((side) => side && new Promise<void>((resolve) => side.socket.close(() => resolve()))),
    )
  }

  #sendBy(side: Side, bytes: Uint8Array): boolean {
    if (!side.isReady) {
      if (side.waiting.length >= maxWaiting) return false
      side.waiting.push(bytes)
      return true
    }
    if (side.socket.getSendQueueCount() >= maxQueued) return false
    side.socket.send(bytes, side.onSent)
    return true
  }

  #open(index: 0 | 1): Side {
    const { port, peerId, addresses, onDatagram } = this.#options
    const { family, address } = loopbacks[index]
    const local = family === 4 ? addresses.of(peerId) : address
    const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', lookup: literally })
    const onSent = (error: Error | null) => {
      if (error) this.#failed(index, error)
    }
    const side: Side = { socket, local, isReady: false, waiting: [], onSent }
    socket.on('error', (error) => this.#failed(index, error))
    socket.on('message', (bytes) => {
      if (!this.#closed) onDatagram(bytes)
    })
    socket.bind({ address: local, port: 0, exclusive: true }, () => {
      if (this.#closed) return
      socket.connect(port, address, () => {
        if (this.#closed) return
        side.isReady = true
        for (const bytes of side.waiting.splice(0)) this.#sendBy(side, bytes)
      })
    })
    return side
  }

  #failed(index: 0 | 1, error: Error): void {
    const { code } = error as NodeJS.ErrnoException
    const side = this.#sides[index]
    if (this.#closed || !side) return
    if (side.isReady) {
      if (code === 'ECONNREFUSED') this.#refused(index)
      return
    }
    side.socket.close()
    this.#sides[index] = null
    if (index === 0 && code === 'EADDRNOTAVAIL' && this.#options.addresses.giveUp(side.local)) {
      const again = this.#open(0)
      again.waiting.push(...side.waiting)
      this.#sides[0] = again
    } else if (index === 0) {
      this.#closed = true
      this.#options.onFailed()
    } else this.#used = 0
  }

  /** Nobody listens there now. */
  #refused(index: 0 | 1): void {
    if (index !== this.#used) return
    const other = index === 0 ? 1 : 0
    const last = this.#last
    const side = this.#sides[other] ?? this.#open(other)
    this.#sides[other] = side
    this.#used = other
    // Once: if nobody listens there either, the next datagram tries again.
    this.#last = null
    if (last) this.#sendBy(side, last)
  }
}
