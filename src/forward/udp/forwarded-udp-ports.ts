// The local UDP ports that lead to a peer (`--forward`). Each local client that sends to one is a flow.

import type { Socket } from 'node:dgram'
import type { BufferPool } from '../../base/buffer-pool.ts'
import type { Clock } from '../../base/clock.ts'
import type { Endpoint } from '../../base/endpoint.ts'
import type { Forward, ForwarderCounts } from '../forward-types.ts'
import { openOnBothLoopbacks, openUdpPort } from '../local-ports.ts'
import { FlowTable } from './flow-table.ts'
import { encodeFrame, type Frame, maxPayloadBytes } from './game-datagram-frame.ts'

/** Datagrams that the kernel has not accepted yet. When full, new ones are dropped, as on a full network. */
const maxQueued = 1024

type Flow = {
  readonly number: number
  readonly forward: Forward
  readonly peerId: string
  readonly client: Endpoint
  /** The socket that the client sends to. Answers leave from it. */
  readonly socket: Socket
  readonly key: string
}

type ForwardedUdpPortsOptions = {
  readonly clock: Clock
  /** The ID of the linked peer that a forward to this nickname leads to now. */
  readonly peerOf: (nick: string) => string | undefined
  readonly send: (peerId: string, bytes: Uint8Array) => boolean
  readonly counts: ForwarderCounts
  /** Gives the memory for frames. */
  readonly bufferPool: BufferPool
}

export class ForwardedUdpPorts {
  readonly #options: ForwardedUdpPortsOptions
  readonly #sockets = new Map<Forward, readonly Socket[]>()
  /** By the flow number in the peer's answers. Bounded by the flow table. */
  readonly #byNumber = new Map<number, Flow>()
  readonly #flows = new FlowTable<string, Flow>((flow) => void this.#byNumber.delete(flow.number))
  /** A number is reused only after all others, because the other side may still have the address of the old flow. */
  #lastNumber = 0

  constructor(options: ForwardedUdpPortsOptions) {
    this.#options = options
  }

  /** Rejects with a Problem when the port cannot be opened. */
  async add(forward: Forward): Promise<void> {
    const sockets = await openOnBothLoopbacks(forward, (loopback) => openUdpPort(loopback, forward.localPort))
    for (const socket of sockets) {
      // Without a listener, an ICMP error would end the process.
      socket.on('error', () => {})
      socket.on('message', (bytes, { address, port }) => {
        this.#handleClient(forward, bytes, { address, port }, socket)
      })
    }
    this.#sockets.set(forward, sockets)
  }

  async remove(forward: Forward): Promise<void> {
    const sockets = this.#sockets.get(forward) ?? []
    this.#sockets.delete(forward)
    for (const flow of this.#flows.values())
      if (flow.forward === forward) this.#flows.remove(flow.peerId, flow.key)
    await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))))
  }

  handleFrame(peerId: string, { port, flow: number, payload }: Frame): void {
    const { clock, counts } = this.#options
    const flow = this.#byNumber.get(number)
    if (!flow || flow.peerId !== peerId || flow.forward.port !== port) {
      counts.unknownFlow++
      return
    }
    this.#flows.use(peerId, flow.key, clock.now())
    if (flow.socket.getSendQueueCount() >= maxQueued) counts.notSent++
    // No callback: a datagram that the kernel does not accept is lost, as UDP allows.
    else flow.socket.send(payload, flow.client.port, flow.client.address)
  }

  expire(now: number): void {
    this.#flows.expire(now)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sockets.keys()].map((forward) => this.remove(forward)))
  }

  #handleClient(forward: Forward, payload: Uint8Array, client: Endpoint, socket: Socket): void {
    const { clock, counts, peerOf, send, bufferPool } = this.#options
    if (payload.length > maxPayloadBytes) {
      counts.tooBig++
      return
    }
    const peerId = peerOf(forward.nick)
    if (peerId === undefined) {
      counts.notLinked++
      return
    }
    const key = `${forward.localPort} ${client.port} ${client.address}`
    const now = clock.now()
    const flow =
      this.#flows.use(peerId, key, now) ??
      this.#flows.add(peerId, key, now, () => this.#newFlow(forward, peerId, client, socket, key))
    if (!flow) counts.refusedFlows++
    else if (
      !send(
        peerId,
        encodeFrame({ kind: 'to-game', port: forward.port, flow: flow.number, payload }, bufferPool),
      )
    )
      counts.notLinked++
  }

  #newFlow(forward: Forward, peerId: string, client: Endpoint, socket: Socket, key: string): Flow {
    do this.#lastNumber = (this.#lastNumber + 1) & 0xffff
    while (this.#byNumber.has(this.#lastNumber))
    const flow = { number: this.#lastNumber, forward, peerId, client, socket, key }
    this.#byNumber.set(flow.number, flow)
    return flow
  }
}
