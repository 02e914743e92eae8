// The exposed UDP ports of a local game (`--expose`). Each flow of each peer has its own local socket, so that the game
// sees every remote player at one stable address, even after the player's link was lost and opened again.

import type { BufferPool } from '../../base/buffer-pool.ts'
import type { Clock } from '../../base/clock.ts'
import type { ForwarderCounts } from '../forward-types.ts'
import type { PeerLoopbackAddresses } from '../peer-loopback-addresses.ts'
import { FlowTable } from './flow-table.ts'
import { encodeFrame, type Frame, maxPayloadBytes } from './game-datagram-frame.ts'
import { GameSocket } from './game-socket.ts'

type ExposedUdpPortsOptions = {
  readonly clock: Clock
  readonly addresses: PeerLoopbackAddresses
  /** True when this peer may use this UDP port. */
  readonly isAllowed: (peerId: string, port: number) => boolean
  /** Returns false when the peer is not linked. */
  readonly send: (peerId: string, bytes: Uint8Array) => boolean
  readonly counts: ForwarderCounts
  /** Gives the memory for frames. */
  readonly bufferPool: BufferPool
}

export class ExposedUdpPorts {
  readonly #options: ExposedUdpPortsOptions
  /** The key combines the port and the number of the flow. */
  readonly #flows = new FlowTable<number, GameSocket>((socket) => this.#close(socket))
  readonly #closing = new Set<Promise<void>>()

  constructor(options: ExposedUdpPortsOptions) {
    this.#options = options
  }

  handleFrame(peerId: string, { port, flow: number, payload }: Frame): void {
    const { clock, counts, isAllowed } = this.#options
    if (!isAllowed(peerId, port)) {
      counts.notExposed++
      return
    }
    const key = port * 65_536 + number
    const now = clock.now()
    const socket =
      this.#flows.use(peerId, key, now) ??
      this.#flows.add(peerId, key, now, () => this.#openFlow(key, peerId, port, number))
    if (!socket) counts.refusedFlows++
    else if (!socket.send(payload)) counts.notSent++
  }

  expire(now: number): void {
    this.#flows.expire(now)
  }

  async close(): Promise<void> {
    this.#flows.clear()
    await Promise.all(this.#closing)
  }

  #openFlow(key: number, peerId: string, port: number, number: number): GameSocket {
    const { addresses, counts } = this.#options
    return new GameSocket({
      port,
      peerId,
      addresses,
      onDatagram: (bytes) => this.#reply(key, peerId, port, number, bytes),
      onFailed: () => {
        counts.refusedFlows++
        this.#flows.remove(peerId, key)
      },
    })
  }

  #close(socket: GameSocket): void {
    const closing = socket.close().finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }

  #reply(key: number, peerId: string, port: number, flow: number, payload: Uint8Array): void {
    const { clock, counts, send, bufferPool } = this.#options
    this.#flows.use(peerId, key, clock.now())
    if (payload.length > maxPayloadBytes) counts.tooBig++
    else if (!send(peerId, encodeFrame({ kind: 'from-game', port, flow, payload }, bufferPool)))
      counts.notLinked++
  }
}
