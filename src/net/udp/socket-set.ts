// The sockets of one protocol machine: the main one, which belongs to somebody else, and extra ones with their
// own ports, opened when first used. Port sampling and port searches need hundreds of them for some seconds.

import { type Endpoint, familyOf } from '../../base/endpoint.ts'
import type { Via } from '../../base/protocol-machine.ts'
import type { openUdpSocket, UdpSocket } from './udp-socket.ts'

/** Extra sockets that are open or opening at once. */
export const maxExtraSockets = 1_024
/** Datagrams that wait for one socket to open. Beyond it the oldest is dropped. */
const maxWaiting = 4

export type SocketSetOptions = {
  readonly open: typeof openUdpSocket
  /** Sends from the main socket. */
  readonly sendMain: (bytes: Uint8Array, to: Endpoint, ttl?: number) => void
  /** From extra sockets only. */
  readonly onDatagram: (bytes: Uint8Array, from: Endpoint, via: Via) => void
  /** The socket could not be opened: too many open files, or the machine lacks this family. */
  readonly onFailure: (via: Via, reason: unknown) => void
}

type Waiting = { readonly bytes: Uint8Array; readonly to: Endpoint; readonly ttl: number | undefined }
type Extra = { socket: UdpSocket | null; closed: boolean; readonly waiting: Waiting[] }

export class SocketSet {
  readonly #options: SocketSetOptions
  readonly #extras = new Map<Via, Extra>()
  #closed = false

  constructor(options: SocketSetOptions) {
    this.#options = options
  }

  /** Opens the socket `via` if it is new and not the main one. Its family is that of the first destination. */
  send(bytes: Uint8Array, to: Endpoint, via: Via, ttl?: number): void {
    if (this.#closed) return
    if (via === 0) {
      this.#options.sendMain(bytes, to, ttl)
      return
    }
    const extra = this.#extras.get(via) ?? this.#open(via, to)
    if (!extra) return
    if (extra.socket) extra.socket.send(bytes, to, ttl)
    else {
      extra.waiting.push({ bytes, to, ttl })
      if (extra.waiting.length > maxWaiting) extra.waiting.shift()
    }
  }

  close(via: Via): void {
    const extra = this.#extras.get(via)
    if (!extra) return
    this.#extras.delete(via)
    extra.closed = true
    void extra.socket?.close()
  }

  closeAll(): void {
    this.#closed = true
    for (const via of [...this.#extras.keys()]) this.close(via)
  }

  /** Extra sockets open or opening. */
  get size(): number {
    return this.#extras.size
  }

  #open(via: Via, to: Endpoint): Extra | null {
    if (this.#extras.size >= maxExtraSockets) {
      // Reported later, like every failure: the machine is performing its actions now.
      queueMicrotask(() => this.#fail(via, new Error(`more than ${maxExtraSockets} sockets`)))
      return null
    }
    const extra: Extra = { socket: null, closed: false, waiting: [] }
    this.#extras.set(via, extra)
    const { open, onDatagram } = this.#options
    open({
      family: familyOf(to.address),
      onDatagram: (bytes, from) => {
        if (!extra.closed) onDatagram(bytes, from, via)
      },
    }).then(
      (socket) => {
        if (extra.closed) {
          void socket.close()
          return
        }
        extra.socket = socket
        for (const { bytes, to: target, ttl } of extra.waiting.splice(0)) socket.send(bytes, target, ttl)
      },
      (reason: unknown) => {
        if (extra.closed) return
        this.#extras.delete(via)
        this.#fail(via, reason)
      },
    )
    return extra
  }

  #fail(via: Via, reason: unknown): void {
    if (!this.#closed) this.#options.onFailure(via, reason)
  }
}
