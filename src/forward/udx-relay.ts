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
import { UdxGuard } from './udx-guard.ts'
import { readUdxPacket, writeUdxPacket } from './udx-packet.ts'

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

const loopback = '127.0.0.1'
/** The system may give less. */
const receiveBufferBytes = 1024 * 1024

export class UdxRelay {
  readonly #udx: UDX
  readonly #socket: UdxSocket
  readonly #relay: Socket
  readonly #random: () => number
  readonly #pipes = new Map<number, UdxPipe>()

  /** `random` draws whole numbers of 32 bits. Loads the library only here: most agents need no TCP. */
  static async open(random: () => number): Promise<UdxRelay> {
    const { default: Udx } = await import('udx-native')
    const relay = createSocket({ type: 'udp4', recvBufferSize: receiveBufferBytes })
    relay.bind({ address: loopback, port: 0, exclusive: true })
    await once(relay, 'listening')
    return new UdxRelay(new Udx(), relay, random)
  }

  private constructor(udx: UDX, relay: Socket, random: () => number) {
    this.#udx = udx
    this.#relay = relay
    this.#random = random
    this.#socket = udx.createSocket()
    this.#socket.bind(0, loopback)
    const udxPort = this.#socket.address()?.port ?? 0
    relay.on('message', (bytes, { port }) => {
      if (port === udxPort) this.#carry(bytes)
    })
    // Without a listener a stray error would end the process; what is lost comes again.
    relay.on('error', () => {})
    // Without a callback: what the kernel does not take comes again.
    this.#send = (bytes) => relay.send(bytes, udxPort, loopback)
    this.#port = relay.address().port
  }

  readonly #send: (bytes: Uint8Array) => void
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
  readonly #guard: UdxGuard
  readonly #onPacket: PipeOptions['onPacket']
  readonly #send: (bytes: Uint8Array) => void
  readonly #forget: () => void
  #over = false

  constructor(
    id: number,
    stream: Stream,
    options: PipeOptions,
    send: (bytes: Uint8Array) => void,
    forget: () => void,
  ) {
    const { ownSeq, peerSeq, maxBytesAhead, onPacket, onData, onDrain, onLost } = options
    this.#id = id
    this.#stream = stream
    this.#guard = new UdxGuard(ownSeq, peerSeq, maxBytesAhead)
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

  carry(packet: UdxPacket): void {
    this.#guard.noteSent(packet)
    this.#onPacket(packet)
  }

  receive(packet: UdxPacket): void {
    if (!this.#over && this.#guard.admits(packet)) this.#send(writeUdxPacket(this.#id, packet))
  }

  destroy(): void {
    if (this.#end()) this.#stream.destroy()
  }

  #end(): boolean {
    if (this.#over) return false
    this.#over = true
    this.#forget()
    return true
  }
}
