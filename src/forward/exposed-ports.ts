// Peers at the local game's door (`--expose`): each flow of each peer has a local socket of its own, so that the
// game sees every remote player at one stable address, also after that player's link broke and came back.

import type { Clock } from '../base/clock.ts'
import { type Endpoint, equalEndpoints } from '../base/endpoint.ts'
import type { openUdpSocket, UdpSocket } from '../net/udp-socket.ts'
import { FlowTable } from './flow-table.ts'
import type { ForwarderCounts } from './forwarder.ts'
import { encodeFrame, type Frame, maxPayloadBytes } from './frame.ts'

/** Datagrams kept while a flow's socket is being opened; later ones are dropped. */
const maxWaiting = 16

type Flow = {
  readonly game: Endpoint
  socket: UdpSocket | null
  waiting: Uint8Array[]
  removed: boolean
  closed: Promise<void> | undefined
}

export type ExposedPortsOptions = {
  readonly clock: Clock
  readonly ports: readonly number[]
  readonly openSocket: typeof openUdpSocket
  /** False when the peer is not linked. */
  readonly send: (peerId: string, bytes: Uint8Array) => boolean
  readonly counts: ForwarderCounts
}

export class ExposedPorts {
  readonly #options: ExposedPortsOptions
  readonly #ports: ReadonlySet<number>
  readonly #flows = new FlowTable<Flow>((flow) => {
    flow.removed = true
    flow.waiting = []
    flow.closed = flow.socket?.close()
  })

  constructor(options: ExposedPortsOptions) {
    this.#options = options
    this.#ports = new Set(options.ports)
  }

  handleFrame(peerId: string, { port, flow: number, payload }: Frame): void {
    const { clock, counts } = this.#options
    if (!this.#ports.has(port)) {
      counts.notExposed++
      return
    }
    const key = `${port} ${number} ${peerId}`
    const now = clock.now()
    const flow =
      this.#flows.use(key, now) ??
      this.#flows.add(key, peerId, now, () => this.#openFlow(key, peerId, port, number))
    if (!flow) counts.refusedFlows++
    else if (flow.socket) flow.socket.send(payload, flow.game)
    else if (flow.waiting.length < maxWaiting) flow.waiting.push(payload)
    else counts.notSent++
  }

  expire(now: number): void {
    this.#flows.expire(now)
  }

  async close(): Promise<void> {
    const flows = this.#flows.values()
    this.#flows.clear()
    await Promise.all(flows.map((flow) => flow.closed))
  }

  #openFlow(key: string, peerId: string, port: number, number: number): Flow {
    const game = { address: '127.0.0.1', port }
    const flow: Flow = { game, socket: null, waiting: [], removed: false, closed: undefined }
    const onDatagram = (bytes: Uint8Array, from: Endpoint) => {
      if (!flow.removed && equalEndpoints(from, game)) this.#reply(key, peerId, port, number, bytes)
    }
    const opened = (socket: UdpSocket) => {
      if (flow.removed) return void socket.close()
      flow.socket = socket
      for (const payload of flow.waiting) socket.send(payload, game)
      flow.waiting = []
    }
    const failed = () => {
      this.#options.counts.refusedFlows++
      if (!flow.removed) this.#flows.remove(key)
    }
    this.#options.openSocket({ family: 4, address: '127.0.0.1', onDatagram }).then(opened, failed)
    return flow
  }

  #reply(key: string, peerId: string, port: number, flow: number, payload: Uint8Array): void {
    const { clock, counts, send } = this.#options
    this.#flows.use(key, clock.now())
    if (payload.length > maxPayloadBytes) counts.tooBig++
    else if (!send(peerId, encodeFrame({ kind: 'from-game', port, flow, payload }))) counts.notLinked++
  }
}
