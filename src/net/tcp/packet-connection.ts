// A TCP connection that carries check packets and link packets, with a bound on unsent bytes.

import type { Socket } from 'node:net'
import type { Endpoint } from '../../base/endpoint.ts'
import { framePacket, maxFramedBytes, PacketReader } from '../../link/tcp-framing.ts'

/** Bytes that the kernel has not taken yet. Beyond it packets are dropped, as on a full link. */
export const maxUnsentBytes = 256 * 1024

export type ConnectionHandlers = {
  /** The receiver owns `bytes`. */
  readonly onPacket: (bytes: Uint8Array) => void
  /** The connection ended, or sent malformed data. Not called after `close`. */
  readonly onClose: () => void
}

export class PacketConnection {
  readonly remote: Endpoint
  readonly #socket: Socket
  readonly #reader = new PacketReader()
  #handlers: ConnectionHandlers
  #isOpen = true

  /** `socket` is connected. */
  constructor(socket: Socket, remote: Endpoint, handlers: ConnectionHandlers) {
    this.remote = remote
    this.#socket = socket
    this.#handlers = handlers
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('data', (bytes) => this.#read(bytes))
    socket.on('close', () => this.#end())
  }

  /** Gives the connection to another owner, possibly while a packet is being handled. */
  set handlers(handlers: ConnectionHandlers) {
    this.#handlers = handlers
  }

  send(packet: Uint8Array): void {
    if (!this.#isOpen || packet.length === 0 || packet.length > maxFramedBytes) return
    if (this.#socket.writableLength <= maxUnsentBytes) this.#socket.write(framePacket(packet))
  }

  /** Closes at once; unsent bytes are lost. */
  close(): void {
    this.#isOpen = false
    this.#socket.destroy()
  }

  #read(bytes: Uint8Array): void {
    const packets = this.#reader.push(bytes)
    for (const packet of packets ?? []) if (this.#isOpen) this.#handlers.onPacket(packet)
    if (!packets) this.#end()
  }

  #end(): void {
    if (!this.#isOpen) return
    this.close()
    this.#handlers.onClose()
  }
}
