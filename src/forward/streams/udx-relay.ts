// Runs udx-native inside links. Its packets are neither encrypted nor authenticated, so they never reach the network. The
// udx socket is bound to loopback and sends everything to our relay socket. From there each packet goes into the link of
// its peer. A packet from a link goes through the filter and then from the relay socket to udx.
//
//      udx ── loopback ── relay ── pipe ── frames ── link
//
// To inject a packet, another program on this computer would have to guess the stream ID and sequence number, which are
// both random.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type UDX from 'udx-native'
import type { Stream, Socket as UdxSocket } from 'udx-native'
import type { UdxPacket } from './stream-frame.ts'
import { readUdxPacket, UdxPacketWriter, udxTypes } from './udx-packet.ts'
import { UdxPacketFilter } from './udx-packet-filter.ts'

export type PipeOptions = {
  /** The first sequence numbers of both sides. */
  readonly ownSeq: number
  readonly peerSeq: number
  /** How many bytes the peer may have in transit. Called for each packet. */
  readonly maxBytesAhead: () => number
  /** A packet for the peer. If it is lost, udx sends it again. */
  readonly onPacket: (packet: UdxPacket) => void
  /** The callee owns the bytes. */
  readonly onData: (bytes: Uint8Array) => void
  readonly onDrain: () => void
  /** The peer does not answer any more. Not called after `destroy`. */
  readonly onLost: () => void
}

export interface Pipe {
  /** Returns false: wait for `onDrain` before writing more. The bytes must not be changed afterwards. */
  write(bytes: Uint8Array): boolean
  /** Resolves true when the peer has acknowledged all data written so far, false when the pipe ends before. */
  flush(): Promise<boolean>
  /** Takes a packet from the link. */
  receive(packet: UdxPacket): void
  destroy(): void
}

type SendToUdx = (id: number, packet: UdxPacket) => void

const loopback = '127.0.0.1'
/** The system may give less. */
const receiveBufferBytes = 4 * 1024 * 1024

export class UdxRelay {
  readonly #udx: UDX
  readonly #socket: UdxSocket
  readonly #relay: Socket
  readonly #random: () => number
  readonly #pipes = new Map<number, UdxPipe>()

  /** `random` returns 32-bit integers. The library is loaded only here, because most agents need no TCP. */
  static async open(random: () => number): Promise<UdxRelay> {
    const { default: Udx } = await import('udx-native')
    const udx = new Udx()
    const socket = udx.createSocket()
    socket.bind(0, loopback)
    const relay = createSocket({ type: 'udp4', recvBufferSize: receiveBufferBytes })
    relay.bind({ address: loopback, port: 0, exclusive: true })
    await once(relay, 'listening')
    // On a connected socket, the kernel drops packets of other senders, and `send` needs no address.
    relay.connect(socket.address()?.port ?? 0, loopback)
    await once(relay, 'connect')
    return new UdxRelay(udx, socket, relay, random)
  }

  private constructor(udx: UDX, socket: UdxSocket, relay: Socket, random: () => number) {
    this.#udx = udx
    this.#socket = socket
    this.#relay = relay
    this.#random = random
    relay.on('message', (bytes) => this.#relayPacket(bytes))
    // Without a listener, an error would end the process. udx repeats lost packets.
    relay.on('error', () => {})
    const writer = new UdxPacketWriter()
    // No callback: udx repeats a packet that the kernel does not accept.
    this.#send = (id, packet) => relay.send(writer.write(id, packet))
    this.#port = relay.address().port
  }

  readonly #send: SendToUdx
  readonly #port: number

  createPipe(options: PipeOptions): Pipe {
    let id = this.#random()
    while (this.#pipes.has(id)) id = this.#random()
    const stream = this.#udx.createStream(id, { seq: options.ownSeq })
    const pipe = new UdxPipe(id, stream, options, this.#send, () => this.#pipes.delete(id))
    this.#pipes.set(id, pipe)
    // The local and the remote ID are the same, so that an outgoing packet also identifies its pipe.
    stream.connect(this.#socket, id, this.#port, loopback, { ack: options.peerSeq })
    return pipe
  }

  async close(): Promise<void> {
    for (const pipe of [...this.#pipes.values()]) pipe.destroy()
    await this.#socket.close()
    await new Promise<void>((resolve) => this.#relay.close(() => resolve()))
  }

  #relayPacket(bytes: Uint8Array): void {
    const read = readUdxPacket(bytes)
    if (read) this.#pipes.get(read.id)?.relayPacket(read.packet)
  }
}

class UdxPipe implements Pipe {
  readonly #id: number
  readonly #stream: Stream
  readonly #filter: UdxPacketFilter
  readonly #onPacket: PipeOptions['onPacket']
  readonly #send: SendToUdx
  readonly #removeFromRelay: () => void
  /** The latest acknowledgement of udx that is not relayed yet. */
  #acknowledgement: UdxPacket | null = null
  #ended = false

  constructor(
    id: number,
    stream: Stream,
    options: PipeOptions,
    send: SendToUdx,
    removeFromRelay: () => void,
  ) {
    const { ownSeq, peerSeq, maxBytesAhead, onPacket, onData, onDrain, onLost } = options
    this.#id = id
    this.#stream = stream
    this.#filter = new UdxPacketFilter(ownSeq, peerSeq, maxBytesAhead)
    this.#onPacket = onPacket
    this.#send = send
    this.#removeFromRelay = removeFromRelay
    stream.on('data', (bytes: Uint8Array) => {
      if (!this.#ended) onData(bytes)
    })
    stream.on('drain', () => {
      if (!this.#ended) onDrain()
    })
    // `close` always follows an error.
    stream.on('error', () => {})
    stream.on('close', () => {
      if (this.#end()) onLost()
    })
  }

  write(bytes: Uint8Array): boolean {
    return this.#ended || this.#stream.write(bytes)
  }

  async flush(): Promise<boolean> {
    return !this.#ended && (await this.#stream.flush())
  }

  /** udx acknowledges each packet, and each acknowledgement includes all earlier ones. So we relay only the last one of
   *  each event-loop turn. In a fast stream, acknowledgements would otherwise be half of all packets on the link. */
  relayPacket(packet: UdxPacket): void {
    this.#filter.noteSent(packet)
    if (packet.type === udxTypes.data) {
      this.#onPacket(packet)
      return
    }
    if (this.#acknowledgement === null) setImmediate(() => this.#relayAcknowledgement())
    this.#acknowledgement = packet
  }

  #relayAcknowledgement(): void {
    const packet = this.#acknowledgement
    this.#acknowledgement = null
    if (packet) this.#onPacket(packet)
  }

  receive(packet: UdxPacket): void {
    if (!this.#ended && this.#filter.accepts(packet)) this.#send(this.#id, packet)
  }

  destroy(): void {
    if (this.#end()) this.#stream.destroy()
  }

  #end(): boolean {
    if (this.#ended) return false
    this.#ended = true
    // Must come before the frame that ends the stream.
    this.#relayAcknowledgement()
    this.#removeFromRelay()
    return true
  }
}
