// The live streams of one role, by peer and number, and the words that end them.

import type { Clock } from '../../base/clock.ts'
import { ForwardedStream } from './forwarded-stream.ts'
import type { LocalEnd } from './memory-duplex.ts'
import type { Allowance } from './stream-budget.ts'
import { type EndReason, encodeStreamFrame, type Towards, type UdxPacket } from './stream-frame.ts'
import type { UdxRelay } from './udx-relay.ts'

type StreamTableOptions = {
  readonly clock: Clock
  /** The other side's role. */
  readonly towards: Towards
  /** False when the peer is not linked. */
  readonly send: (peerId: string, bytes: Uint8Array) => boolean
  /** The largest frame that travels to this peer in one piece now. */
  readonly singlePacketBytes: (peerId: string) => number
}

type NewStream = {
  readonly peerId: string
  readonly number: number
  readonly tcp: LocalEnd
  readonly allowance: Allowance
  readonly relay: UdxRelay
  readonly ownSeq: number
  readonly peerSeq: number
}

/** An end is a datagram and may be lost: it is said so often. Whoever missed all of them asks sooner or later. */
const sayAgainAfterMs = [250, 1000]
/** Ends to be repeated; beyond it they are said once. */
const maxRepeats = 256

export class StreamTable {
  readonly #options: StreamTableOptions
  /** Bounded by the budget. */
  readonly #streams = new Map<string, ForwardedStream>()
  /** TCP connections that end by themselves are among them. */
  readonly #sockets = new Set<LocalEnd>()
  readonly #repeats = new Set<() => void>()

  constructor(options: StreamTableOptions) {
    this.#options = options
  }

  has(peerId: string, number: number): boolean {
    return this.#streams.has(keyOf(peerId, number))
  }

  add({ peerId, number, tcp, allowance, relay, ownSeq, peerSeq }: NewStream): void {
    const key = keyOf(peerId, number)
    this.#sockets.add(tcp)
    tcp.on('close', () => this.#sockets.delete(tcp))
    const onPacket = this.#carrier(peerId, number)
    const stream = new ForwardedStream({
      tcp,
      allowance,
      createPipe: (handlers) => relay.createPipe({ ownSeq, peerSeq, onPacket, ...handlers }),
      onOver: (reason) => {
        this.#streams.delete(key)
        this.sendEnd(peerId, number, reason)
      },
    })
    this.#streams.set(key, stream)
  }

  /** False when there is no such stream. */
  receive(peerId: string, number: number, packet: UdxPacket): boolean {
    const stream = this.#streams.get(keyOf(peerId, number))
    stream?.pipe.receive(packet)
    return stream !== undefined
  }

  endedByPeer(peerId: string, number: number, reason: EndReason): void {
    this.#streams.get(keyOf(peerId, number))?.endedByPeer(reason)
  }

  sendEnd(peerId: string, number: number, reason: EndReason): void {
    const { clock, towards, send } = this.#options
    const frame = encodeStreamFrame({ kind: 'end', towards, number, reason })
    const say = (times: number): void => {
      const waitMs = sayAgainAfterMs[times]
      if (!send(peerId, frame) || waitMs === undefined || this.#repeats.size >= maxRepeats) return
      const cancel = clock.after(waitMs, () => {
        this.#repeats.delete(cancel)
        say(times + 1)
      })
      this.#repeats.add(cancel)
    }
    say(0)
  }

  /** The peer is gone: its streams end with a reset. */
  dropPeer(peerId: string): void {
    for (const [key, stream] of this.#streams) if (key.startsWith(`${peerId} `)) stream.break('reset')
  }

  close(): void {
    for (const stream of [...this.#streams.values()]) stream.break('reset')
    for (const socket of this.#sockets) socket.resetAndDestroy()
    for (const cancel of this.#repeats) cancel()
    this.#repeats.clear()
  }

  /** Packets larger than the path are probes of its size, and dropped to tell so; but once such a packet has gone through
   *  whole, the stream relies on it, and the link carries it in parts from then on. */
  #carrier(peerId: string, number: number): (packet: UdxPacket) => void {
    const { send, towards, singlePacketBytes } = this.#options
    let proven = 0
    return (packet) => {
      const frame = encodeStreamFrame({ kind: 'packet', towards, number, packet })
      if (frame.length > proven && packet.padding > 0) {
        if (frame.length > singlePacketBytes(peerId)) return
        proven = frame.length
      }
      send(peerId, frame)
    }
  }
}

function keyOf(peerId: string, number: number): string {
  return `${peerId} ${number}`
}
