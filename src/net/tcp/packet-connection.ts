// A TCP connection that carries the packets of checks and links, and holds no more of them than stated.

import type { Socket } from 'node:net'
import type { Endpoint } from '../../base/endpoint.ts'
import { framePacket, maxFramedBytes, PacketReader } from '../../link/tcp-framing.ts'

/** Handed to the kernel and not yet taken; beyond it packets are dropped, as a full link would. */
export const maxUnsentBytes = 256 * 1024

export type ConnectionHandlers = {
  /** `bytes` belong to whoever takes them. */
  readonly onPacket: (bytes: Uint8Array) => void
  /** It ended, from either side, or sent what is no packet. Not told after `close`. */
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

  /** Somebody else takes it over, in the middle of a packet's handling too. */
  set handlers(handlers: ConnectionHandlers) {
    this.#handlers = handlers
  }

  send(packet: Uint8Array): void {
    if (!this.#isOpen || packet.length === 0 || packet.length > maxFramedBytes) return
    if (this.#socket.writableLength <= maxUnsentBytes) this.#socket.write(framePacket(packet))
  }

  /** At once; what was not sent is lost. */
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
