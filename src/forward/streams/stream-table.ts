// The live streams of one role, by peer and stream number, and the frames that end them.

import type { Clock } from '../../base/clock.ts'
import { ForwardedStream } from './forwarded-stream.ts'
import type { LocalEnd } from './memory-duplex.ts'
import type { Allowance } from './stream-budget.ts'
import { type EndReason, encodeStreamFrame, type Towards, type UdxPacket } from './stream-frame.ts'
import type { UdxRelay } from './udx-relay.ts'

type StreamTableOptions = {
  readonly clock: Clock
  /** The role of the other side. */
  readonly towards: Towards
  /** Returns false when the peer is not linked. */
  readonly send: (peerId: string, bytes: Uint8Array) => boolean
  /** The largest frame that the link to this peer now sends in one packet. */
  readonly maxUnfragmentedBytes: (peerId: string) => number
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

/** An end frame may be lost, so it is repeated after these delays. A peer that missed all of them learns of the end by
 *  its next packet. */
const repeatAfterMs = [250, 1000]
/** When full, further end frames are sent only once. */
const maxRepeats = 256

export class StreamTable {
  readonly #options: StreamTableOptions
  /** By peer and stream number. Bounded by the budget. */
  readonly #streams = new Map<string, ForwardedStream>()
  /** Includes sockets that are closing after their stream has ended. */
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
    const onPacket = this.#createPacketSender(peerId, number)
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

  /** Returns false when there is no such stream. */
  receive(peerId: string, number: number, packet: UdxPacket): boolean {
    const stream = this.#streams.get(keyOf(peerId, number))
    stream?.pipe.receive(packet)
    return stream !== undefined
  }

  handlePeerEnd(peerId: string, number: number, reason: EndReason): void {
    this.#streams.get(keyOf(peerId, number))?.handlePeerEnd(reason)
  }

  sendEnd(peerId: string, number: number, reason: EndReason): void {
    const { clock, towards, send } = this.#options
    const frame = encodeStreamFrame({ kind: 'end', towards, number, reason })
    const sendRepeated = (repeats: number): void => {
      const waitMs = repeatAfterMs[repeats]
      if (!send(peerId, frame) || waitMs === undefined || this.#repeats.size >= maxRepeats) return
      const cancel = clock.after(waitMs, () => {
        this.#repeats.delete(cancel)
        sendRepeated(repeats + 1)
      })
      this.#repeats.add(cancel)
    }
    sendRepeated(0)
  }

  /** Call it when the peer has no link. Its streams end with a reset. */
  dropPeer(peerId: string): void {
    for (const [key, stream] of this.#streams) if (key.startsWith(`${peerId} `)) stream.break('reset')
  }

  close(): void {
    for (const stream of [...this.#streams.values()]) stream.break('reset')
    for (const socket of this.#sockets) socket.resetAndDestroy()
    for (const cancel of this.#repeats) cancel()
    this.#repeats.clear()
  }

  /** A padded packet is an MTU probe of udx. A probe that does not fit in one link packet is dropped, so that udx learns
   *  the limit. udx keeps using a size that got through once, so later the link must carry that size in fragments. */
  #createPacketSender(peerId: string, number: number): (packet: UdxPacket) => void {
    const { send, towards, maxUnfragmentedBytes } = this.#options
    let proven = 0
    return (packet) => {
      const frame = encodeStreamFrame({ kind: 'packet', towards, number, packet })
      if (frame.length > proven && packet.padding > 0) {
        if (frame.length > maxUnfragmentedBytes(peerId)) return
        proven = frame.length
      }
      send(peerId, frame)
    }
  }
}

function keyOf(peerId: string, number: number): string {
  return `${peerId} ${number}`
}
