// udx-native inside links. Its packets are neither encrypted nor authenticated, so they never meet the network: its socket
// is bound to loopback and sends everything to a relay socket of ours, from where packets go into the link of the peer
// they are for; what comes by a link goes to udx from the relay, after the guard has looked at it.
//
//      udx ── loopback ── relay ── pipe ── frames ── link
//
// Another program on this computer would have to guess a stream's number and its sequence to get a packet in: both are
// drawn at random.

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type UDX from 'udx-native'
import type { Stream, Socket as UdxSocket } from 'udx-native'
import type { UdxPacket } from './stream-frame.ts'
import { readUdxPacket, UdxPacketWriter, udxTypes } from './udx-packet.ts'
import { UdxPacketFilter } from './udx-packet-filter.ts'

export type PipeOptions = {
  /** First sequence numbers, both sides'. */
  readonly ownSeq: number
  readonly peerSeq: number
  /** How many bytes the peer may have under way; asked anew each time. */
  readonly maxBytesAhead: () => number
  /** To be carried to the peer, or lost: it comes again. */
  readonly onPacket: (packet: UdxPacket) => void
  /** The bytes belong to the callee. */
  readonly onData: (bytes: Uint8Array) => void
  readonly onDrain: () => void
  /** The peer does not answer any more. Not after `destroy`. */
  readonly onLost: () => void
}

export interface Pipe {
  /** False: wait for `onDrain` before writing more. The bytes must not be changed afterwards. */
  write(bytes: Uint8Array): boolean
  /** Whether the peer has acknowledged all that was written until now; false when it ends before. */
  flush(): Promise<boolean>
  /** What came over the link. */
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

  /** `random` draws whole numbers of 32 bits. Loads the library only here: most agents need no TCP. */
  static async open(random: () => number): Promise<UdxRelay> {
    const { default: Udx } = await import('udx-native')
    const udx = new Udx()
    const socket = udx.createSocket()
    socket.bind(0, loopback)
    const relay = createSocket({ type: 'udp4', recvBufferSize: receiveBufferBytes })
    relay.bind({ address: loopback, port: 0, exclusive: true })
    await once(relay, 'listening')
    // The kernel then drops what comes from elsewhere, and no packet needs an address of its own.
    relay.connect(socket.address()?.port ?? 0, loopback)
    await once(relay, 'connect')
    return new UdxRelay(udx, socket, relay, random)
  }

  private constructor(udx: UDX, socket: UdxSocket, relay: Socket, random: () => number) {
    this.#udx = udx
    this.#socket = socket
    this.#relay = relay
    this.#random = random
    relay.on('message', (bytes) => this.#carry(bytes))
    // Without a listener a stray error would end the process; what is lost comes again.
    relay.on('error', () => {})
    const writer = new UdxPacketWriter()
    // Without a callback: what the kernel does not take comes again.
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
    // Both ends of this stream have one number here: it is looked up by what goes out, too.
    stream.connect(this.#socket, id, this.#port, loopback, { ack: options.peerSeq })
    return pipe
  }

  async close(): Promise<void> {
    for (const pipe of [...this.#pipes.values()]) pipe.destroy()
    await this.#socket.close()
    await new Promise<void>((resolve) => this.#relay.close(() => resolve()))
  }

  #carry(bytes: Uint8Array): void {
    const read = readUdxPacket(bytes)
    if (read) this.#pipes.get(read.id)?.carry(read.packet)
  }
}

class UdxPipe implements Pipe {
  readonly #id: number
  readonly #stream: Stream
  readonly #guard: UdxPacketFilter
  readonly #onPacket: PipeOptions['onPacket']
  readonly #send: SendToUdx
  readonly #forget: () => void
  /** What udx acknowledged last, still to be carried. */
  #acknowledgement: UdxPacket | null = null
  #over = false

  constructor(id: number, stream: Stream, options: PipeOptions, send: SendToUdx, forget: () => void) {
    const { ownSeq, peerSeq, maxBytesAhead, onPacket, onData, onDrain, onLost } = options
    this.#id = id
    this.#stream = stream
    this.#guard = new UdxPacketFilter(ownSeq, peerSeq, maxBytesAhead)
    this.#onPacket = onPacket
    this.#send = send
    this.#forget = forget
    stream.on('data', (bytes: Uint8Array) => {
      if (!this.#over) onData(bytes)
    })
    stream.on('drain', () => {
      if (!this.#over) onDrain()
    })
    // An error is always followed by the close.
    stream.on('error', () => {})
    stream.on('close', () => {
      if (this.#end()) onLost()
    })
  }

  write(bytes: Uint8Array): boolean {
    return this.#over || this.#stream.write(bytes)
  }

  async flush(): Promise<boolean> {
    return !this.#over && (await this.#stream.flush())
  }

  /** udx acknowledges each packet, and each acknowledgement tells all that the ones before told: of those that come in one
   *  turn of the loop only the last is carried. In a fast stream they would be half of all packets on the link. */
  carry(packet: UdxPacket): void {
    this.#guard.noteSent(packet)
    if (packet.type === udxTypes.data) {
      this.#onPacket(packet)
      return
    }
    if (this.#acknowledgement === null) setImmediate(() => this.#carryAcknowledgement())
    this.#acknowledgement = packet
  }

  #carryAcknowledgement(): void {
    const packet = this.#acknowledgement
    this.#acknowledgement = null
    if (packet) this.#onPacket(packet)
  }

  receive(packet: UdxPacket): void {
    if (!this.#over && this.#guard.admits(packet)) this.#send(this.#id, packet)
  }

  destroy(): void {
    if (this.#end()) this.#stream.destroy()
  }

  #end(): boolean {
    if (this.#over) return false
    this.#over = true
    // Before the word that the stream is over.
    this.#carryAcknowledgement()
    this.#forget()
    return true
  }
}
